// SPDX-License-Identifier: AGPL-3.0-or-later
import { el } from './dom';

interface Entry {
  message: string;
  isError: boolean;
  count: number;
  /** When it was said last. */
  at: Date;
}

const MOST = 100;

/** The last messages, the newest first, each once with its count and time. */
export class Console {
  private entries: Entry[] = [];
  private readonly list = el('ol', { className: 'messages', hidden: true, tabIndex: 0, aria: { label: 'Messages' } });
  private readonly toggle: HTMLButtonElement;

  constructor(above: HTMLElement, beside: HTMLElement) {
    this.toggle = el('button', { type: 'button', className: 'toggle', onclick: () => this.show(this.list.hidden !== false) });
    this.toggle.setAttribute('aria-expanded', 'false');
    above.prepend(this.list);
    beside.append(this.toggle);
    this.render();
  }

  add(message: string, isError: boolean, at = new Date()): void {
    if (message === '') return;
    const before = this.entries.find((entry) => entry.message === message && entry.isError === isError);
    const rest = this.entries.filter((entry) => entry !== before);
    this.entries = [{ message, isError, count: (before?.count ?? 0) + 1, at }, ...rest].slice(0, MOST);
    this.render();
  }

  private show(open: boolean): void {
    this.list.hidden = !open;
    this.toggle.setAttribute('aria-expanded', String(open));
    this.render();
  }

  private render(): void {
    this.toggle.textContent = this.entries.length === 0 ? 'Messages' : `Messages ${this.entries.length}`;
    if (this.list.hidden) return;
    const rows = this.entries.map(({ message, isError, count, at }) =>
      el(
        'li',
        { className: isError ? 'error' : '' },
        el('time', { dateTime: at.toISOString() }, at.toLocaleTimeString()),
        el('span', { className: 'times' }, count > 1 ? `×${count}` : ''),
        el('span', {}, message),
      ),
    );
    this.list.replaceChildren(...(rows.length > 0 ? rows : [el('li', {}, 'Nothing so far.')]));
  }
}
