// SPDX-License-Identifier: AGPL-3.0-or-later
import { el } from '../ui/dom';
import { isDirty, LONGEST_NAME, type LocalSet } from './model';

export interface BarActions {
  rename: (name: string) => void;
  save: () => void;
  open: () => void;
}

/** The name of this tab's set, whether the bridge has it, and the way to all others. */
export class SetBar {
  private readonly name: HTMLInputElement;
  private readonly state = el('span', { className: 'setstate', aria: { role: 'status' } });

  constructor(root: HTMLElement, actions: BarActions) {
    this.name = el('input', {
      className: 'setname',
      maxLength: LONGEST_NAME,
      spellcheck: false,
      autocomplete: 'off',
      aria: { label: 'Name of this set' },
      onchange: () => actions.rename(this.name.value),
      onkeydown: (event) => {
        if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey) this.name.blur();
      },
    });
    root.append(
      el(
        'div',
        { className: 'setbar' },
        this.name,
        this.state,
        el('button', { type: 'button', title: 'Ctrl+S — keeps a version on your bridge', onclick: actions.save }, 'Save'),
        el('button', { type: 'button', onclick: actions.open, aria: { haspopup: 'dialog' } }, 'Sets'),
      ),
    );
    document.addEventListener('keydown', (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey || event.code !== 'KeyS') return;
      event.preventDefault();
      if (document.activeElement === this.name) actions.rename(this.name.value);
      actions.save();
    });
  }

  show(set: LocalSet, conflict: boolean): void {
    if (document.activeElement !== this.name) this.name.value = set.name;
    const state = conflict ? 'saved by another browser' : isDirty(set) ? (set.base ? 'changed' : 'not saved') : 'saved';
    if (this.state.textContent !== state) this.state.textContent = state;
    this.state.dataset['state'] = conflict ? 'conflict' : state;
    this.state.title = set.base
      ? `The bridge has version ${set.base}. What you type is kept in this browser.`
      : 'What you type is kept in this browser. Save puts it on your bridge, where other browsers find it.';
  }
}
