// SPDX-License-Identifier: AGPL-3.0-or-later
/** The dialog with all sets, and the history of this tab's one. */
import { arrange, el } from '../ui/dom';
import { diff, shorten } from './diff';
import type { Row, Sets } from './sets';

export interface PanelActions {
  /** The editor, when the dialog closes. */
  leave: () => void;
  exportOne: () => void;
  exportAll: () => void;
  /** Copies a link: to this page, or to strudel.cc. */
  copyLink: (to: 'here' | 'strudel') => void;
  /** Versions on the bridge, and the code of one. */
  versions: () => Promise<{ version: number; saved: number }[]>;
  codeOf: (version: number) => Promise<string>;
}

/** One line of the history. */
interface Entry {
  at: number;
  what: string;
  code: () => Promise<string>;
}

const time = (at: number): string => new Date(at).toLocaleString();

export class SetsPanel {
  private readonly dialog: HTMLDialogElement;
  private readonly list = el('ul', { className: 'setlist' });
  private readonly history = el('ul', { className: 'moments' });
  private readonly why = el('p', { className: 'problem' });
  private readonly conflict = el('div', { className: 'setconflict' });
  private readonly files: HTMLInputElement;
  private readonly link: HTMLInputElement;

  constructor(
    private readonly sets: Sets,
    private readonly actions: PanelActions,
  ) {
    this.files = el('input', {
      type: 'file',
      multiple: true,
      hidden: true,
      aria: { label: 'Files to import' },
      onchange: () => {
        const chosen = [...(this.files.files ?? [])];
        this.files.value = '';
        if (chosen.length) this.closeAfter(sets.importFiles(chosen));
      },
    });
    this.link = el('input', {
      placeholder: 'Paste a link of strudel.cc or of this page',
      aria: { label: 'Link to open' },
      autocomplete: 'off',
      onkeydown: (event) => {
        if (event.key !== 'Enter') return;
        event.preventDefault();
        this.openLink();
      },
    });
    const button = (label: string, act: () => void): HTMLElement => el('button', { type: 'button', onclick: act }, label);
    this.dialog = el(
      'dialog',
      { className: 'setsdialog', aria: { labelledby: 'sets-title' }, onclose: () => actions.leave() },
      el('div', { className: 'setshead' }, el('h2', { id: 'sets-title' }, 'Sets'), button('Close', () => this.dialog.close())),
      el(
        'div',
        { className: 'setsactions' },
        button('New', () => this.closeAfter(sets.create())),
        button('Duplicate', () => this.closeAfter(sets.duplicate())),
        button('Save', () => void sets.save().then(() => this.refresh())),
        button('Export', actions.exportOne),
        button('Export all', actions.exportAll),
        button('Import', () => this.files.click()),
        button('Copy link', () => actions.copyLink('here')),
        button('Copy strudel.cc link', () => actions.copyLink('strudel')),
      ),
      el('div', { className: 'setsactions' }, this.link, button('Open link', () => this.openLink())),
      this.files,
      this.conflict,
      this.why,
      this.list,
      el('h2', {}, 'History of this set'),
      this.history,
      el(
        'p',
        { className: 'setnote' },
        'Opening evaluates nothing; you press Play. No pattern leaves for anybody but your own bridge.',
      ),
    );
    document.body.append(this.dialog);
  }

  open(): void {
    if (!this.dialog.open) this.dialog.showModal();
    this.refresh();
  }

  /** Shows what there is now, when it is open. */
  refresh(): void {
    if (!this.dialog.open) return;
    this.showConflict();
    void this.showList();
    void this.showHistory();
  }

  private closeAfter(done: Promise<unknown>): void {
    void done.then(() => this.dialog.close());
  }

  private openLink(): void {
    const link = this.link.value;
    this.link.value = '';
    if (link) this.closeAfter(this.sets.openLink(link));
  }

  private async showList(): Promise<void> {
    const { rows, why } = await this.sets.list();
    this.why.textContent = why;
    arrange(this.list, rows.map((row) => this.row(row)));
  }

  private row(row: Row): HTMLElement {
    const now = row.id === this.sets.current.id;
    const where = [row.here ? '' : 'on the bridge only', row.version ? `version ${row.version}` : ''];
    return el(
      'li',
      { className: now ? 'now' : '', data: { set: row.id } },
      el('span', { className: 'name' }, row.name),
      el('span', { className: 'when' }, [now ? 'in this tab' : time(row.at), ...where].filter(Boolean).join(' · ')),
      now
        ? ''
        : el(
            'button',
            { type: 'button', aria: { label: `Open ${row.name}` }, onclick: () => this.closeAfter(this.sets.open(row.id)) },
            'Open',
          ),
      el(
        'button',
        {
          type: 'button',
          className: 'delete',
          aria: { label: `Delete ${row.name}` },
          onclick: () => this.closeAfter(this.sets.remove(row.id, row.version)),
        },
        'Delete',
      ),
    );
  }

  private async showHistory(): Promise<void> {
    const moments = (await this.sets.history()).map(({ at, why, code }) => ({
      at,
      what: why === 'played' ? 'played' : 'before other code took its place',
      code: () => Promise.resolve(code),
    }));
    let versions: Entry[] = [];
    try {
      versions = (await this.actions.versions()).map(({ version, saved }) => ({
        at: saved,
        what: `saved on the bridge, version ${version}`,
        code: () => this.actions.codeOf(version),
      }));
    } catch {
      // The list above says that the bridge is away.
    }
    const entries: Entry[] = [...moments, ...versions].sort((a, b) => b.at - a.at);
    arrange(this.history, entries.map((entry) => this.moment(entry)));
    if (!entries.length) this.history.append(el('li', { className: 'empty' }, 'Nothing has been played so far.'));
  }

  private moment(entry: Entry): HTMLElement {
    const shown = el('div', { className: 'momentcode' });
    const details = el(
      'details',
      {
        ontoggle: () => {
          if (details.open && !shown.hasChildNodes()) void this.showMoment(entry, shown);
        },
      },
      el('summary', {}, `${time(entry.at)} · ${entry.what}`),
      shown,
    );
    return el('li', {}, details);
  }

  private async showMoment(entry: Entry, shown: HTMLElement): Promise<void> {
    let code: string;
    try {
      code = await entry.code();
    } catch (error) {
      shown.replaceChildren(el('p', { className: 'problem' }, (error as Error).message));
      return;
    }
    const same = code === this.sets.current.code;
    const back = el(
      'button',
      { type: 'button', onclick: () => this.closeAfter(this.sets.bringBack(code)) },
      'Bring back',
    );
    shown.replaceChildren(same ? el('p', {}, 'This is what the editor has.') : back, difference(this.sets.current.code, code));
  }

  private showConflict(): void {
    const { conflict } = this.sets;
    this.conflict.replaceChildren();
    if (conflict?.id !== this.sets.current.id) return;
    const { theirs } = conflict;
    const does = (label: string, how: 'ours' | 'copy' | 'theirs'): HTMLElement =>
      el('button', { type: 'button', onclick: () => this.closeAfter(this.sets.settle(how)) }, label);
    this.conflict.append(
      el(
        'p',
        {},
        theirs
          ? `Another browser saved version ${theirs.version} of this set, "${theirs.name}". Yours is kept here.`
          : 'Another browser saved this set. Yours is kept here.',
      ),
      el(
        'div',
        { className: 'setsactions' },
        ...(theirs ? [does('Save mine on top', 'ours')] : []),
        does('Save mine as a copy', 'copy'),
        ...(theirs ? [does('Open theirs', 'theirs')] : []),
      ),
      ...(theirs ? [difference(this.sets.current.code, theirs.code)] : []),
    );
  }
}

/** What is different, a line each: "-" is in the editor now, "+" comes. */
export function difference(now: string, then: string): HTMLElement {
  const lines = shorten(diff(now, then)).map((line) =>
    line ? el('span', { className: 'diffline', data: { mark: line.mark } }, `${line.mark} ${line.text}\n`) : el('span', {}, '⋮\n'),
  );
  return el('pre', { className: 'diff', aria: { label: 'Difference from the code in the editor' } }, ...lines);
}
