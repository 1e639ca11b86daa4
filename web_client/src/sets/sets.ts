// SPDX-License-Identifier: AGPL-3.0-or-later
/** The set of this tab, and all others: what is typed and played is kept here, and on the bridge when it is saved. */
import type { SaveAnswer, SetsBridge, Theirs } from './bridge';
import type { Claims } from './claims';
import { writeDraft } from './draft';
import { readFile, type FileLike } from './files';
import { asName, bytesOf, isDirty, MOST_CODE_BYTES, newSet, type Keeper, type LocalSet, type Moment } from './model';
import { codeToHash, readLink } from './share';
import { nextName, opened, type Begun } from './start';

export interface SetsOptions {
  keeper: Keeper;
  claims: Claims;
  bridge: SetsBridge;
  /** Puts code into the editor; evaluates nothing. */
  setCode: (code: string) => void;
  say: (message: string, isError: boolean) => void;
  offer: (message: string, label: string, act: () => void) => void;
  /** What the views show has changed. */
  onChange: () => void;
}

/** One line of the list of sets. */
export interface Row {
  id: string;
  name: string;
  at: number;
  /** The newest version on the bridge; 0: it has none, null: the bridge has not said. */
  version: number | null;
  /** Is it in this browser? */
  here: boolean;
}

const SOON_MS = 400;
/** An evaluation waits this long for its own note: a loop without an end lets nothing be written any more. */
const LONGEST_NOTE_MS = 150;

export class Sets {
  private set: LocalSet;
  private kept: boolean;
  private soon: ReturnType<typeof setTimeout> | undefined;
  private saving = false;
  /** What came into the history last. */
  private noted: LocalSet | undefined;
  /** What another browser saved, until it is settled. */
  conflict: { id: string; theirs: Theirs } | null = null;

  constructor(
    private readonly options: SetsOptions,
    begun: Begun,
  ) {
    this.set = begun.set;
    this.kept = begun.kept;
    this.writeDraft();
  }

  get current(): LocalSet {
    return this.set;
  }

  /** The editor's code, after each change of it. */
  edited(code: string): void {
    if (code === this.set.code) return;
    this.change({ code });
  }

  /** Before code is evaluated: it is in the history even when it never ends. */
  async evaluating(code: string): Promise<void> {
    this.edited(code);
    const late = new Promise<void>((resolve) => setTimeout(resolve, LONGEST_NOTE_MS));
    await Promise.race([this.note('played'), late]);
  }

  /** Writes what is not written so far. */
  async flush(): Promise<void> {
    clearTimeout(this.soon);
    this.soon = undefined;
    if (this.kept) await this.options.keeper.put(this.set);
  }

  rename(text: string): void {
    const name = asName(text);
    if (name === null) this.options.say('A set needs a name.', true);
    else if (name !== this.set.name) this.change({ name });
    this.options.onChange();
  }

  async create(): Promise<void> {
    await this.begin(newSet(nextName(await this.options.keeper.sets(), 'Set'), ''));
  }

  async duplicate(): Promise<void> {
    const name = nextName(await this.options.keeper.sets(), asName(`${this.set.name.slice(0, 70)} copy`) ?? 'Set');
    await this.begin(newSet(name, this.set.code));
    this.options.say(`This is "${name}" now; the set that it was copied from stays as it is.`, false);
  }

  /** Opens a set of this browser or of the bridge; evaluates nothing. */
  async open(id: string): Promise<void> {
    if (id === this.set.id) return;
    const { keeper, bridge, claims } = this.options;
    let set = await keeper.get(id);
    let damaged = false;
    try {
      if (!set || !isDirty(set)) {
        const kept = await bridge.get(id);
        const { name, code, version } = kept;
        const theirs = { id, name, code, base: version, savedName: name, savedCode: code, deleted: null };
        // Where the bridge has lost what this browser has, this browser's stays.
        if (!set || version > set.base) {
          set = { ...theirs, changed: Date.now() };
          damaged = kept.damaged;
        }
      }
    } catch (error) {
      if (!set) return this.options.say((error as Error).message, true);
    }
    if (!(await claims.claim(id, false))) {
      return this.options.say(`"${set.name}" is open in another tab. Go there, or duplicate it.`, true);
    }
    await this.begin({ ...set, deleted: null });
    if (damaged) {
      const what = `The newest version of "${set.name}" is damaged on the bridge's disk`;
      this.options.say(`${what}; this is version ${set.base}.`, true);
    }
  }

  /** Opens a link as a new set, or the set that has this very code. */
  async openLink(link: string): Promise<void> {
    const shared = readLink(link);
    if ('why' in shared) return this.options.say(shared.why, true);
    const sets = await this.options.keeper.sets();
    const known = sets.find(({ code, deleted }) => code === shared.code && deleted === null);
    if (known) return known.id === this.set.id ? undefined : this.open(known.id);
    const set = newSet(shared.name ?? nextName(sets, 'Shared set'), shared.code);
    await this.begin(set);
    this.options.say(opened(set), false);
  }

  /** Puts code of the history into the editor; what was there is in the history then. */
  async bringBack(code: string): Promise<void> {
    await this.note('replaced');
    this.change({ code });
    this.options.setCode(code);
  }

  /** Before a script puts other code into the editor. */
  replacing(code: string): void {
    if (code !== this.set.code) void this.note('replaced');
  }

  /** Keeps the set on the bridge, as a version on top of `base`. */
  async save(base = this.set.base): Promise<void> {
    if (this.saving) return;
    const { id, name, code } = this.set;
    if (bytesOf(code) > MOST_CODE_BYTES) {
      return this.options.say('The bridge keeps at most 1 MB of code for a set. Export it instead.', true);
    }
    this.saving = true;
    try {
      let answer = await this.options.bridge.save(id, name, code, base);
      // The bridge has another data folder now, or the set was deleted there long ago.
      if ('code' in answer && answer.code === 'unknown_set' && base > 0) {
        answer = await this.options.bridge.save(id, name, code, 0);
      }
      await this.saved(id, name, code, answer);
    } finally {
      this.saving = false;
      this.options.onChange();
    }
  }

  /** Ends a conflict: saves ours on top of theirs, as a set of its own, or opens theirs. */
  async settle(how: 'ours' | 'copy' | 'theirs'): Promise<void> {
    const { conflict } = this;
    if (conflict?.id !== this.set.id) return;
    const { theirs } = conflict;
    this.conflict = null;
    if (how === 'theirs' && theirs) {
      await this.note('replaced');
      const { name, code, version } = theirs;
      this.change({ name, code, base: version, savedName: name, savedCode: code });
      this.options.setCode(code);
    } else if (how === 'ours' && theirs) {
      await this.save(theirs.version);
    } else {
      await this.duplicate();
      await this.save();
    }
  }

  /** Deletes a set here, and on the bridge when it is there: then a person is asked. */
  async remove(id: string, version: number | null): Promise<void> {
    const { keeper, bridge, claims, offer, say } = this.options;
    const local = id === this.set.id ? this.set : await keeper.get(id);
    if (id !== this.set.id && !(await claims.claim(id, false))) {
      return say('This set is open in another tab. Close that tab first.', true);
    }
    const there = (version ?? local?.base ?? 0) > 0;
    if (there) {
      const changed = await bridge.remove(id);
      if (!changed.done) {
        if (id !== this.set.id) claims.release(id);
        return changed.why ? say(changed.why, true) : undefined;
      }
    }
    const name = local?.name ?? 'The set';
    if (id === this.set.id) {
      await this.begin(newSet(nextName(await keeper.sets(), 'Set'), ''));
    } else claims.release(id);
    if (local) await keeper.put({ ...local, deleted: Date.now() });
    this.options.onChange();
    offer(`"${name}" is deleted.`, 'Undo', () => void this.undoRemoval(id, local, there));
  }

  /** The sets of this browser, those changed last first. */
  async local(): Promise<LocalSet[]> {
    const sets = (await this.options.keeper.sets()).filter(({ id, deleted }) => deleted === null && id !== this.set.id);
    return [...sets, this.set].sort((a, b) => b.changed - a.changed);
  }

  /** All sets; `why` says why the bridge's are missing. */
  async list(): Promise<{ rows: Row[]; why: string }> {
    const rows = new Map<string, Row>();
    for (const { id, name, changed } of await this.local()) rows.set(id, { id, name, at: changed, version: null, here: true });
    let why = '';
    try {
      for (const head of await this.options.bridge.list()) {
        const row = rows.get(head.id);
        if (head.deleted) continue;
        if (row) row.version = head.version;
        else rows.set(head.id, { id: head.id, name: head.name || '(damaged)', at: head.saved, version: head.version, here: false });
      }
      for (const row of rows.values()) row.version ??= 0;
    } catch (error) {
      why = (error as Error).message;
    }
    return { rows: [...rows.values()].sort((a, b) => b.at - a.at), why };
  }

  /** What the set of this tab was, the newest first. */
  history(): Promise<Moment[]> {
    return this.options.keeper.history(this.set.id);
  }

  async importFiles(files: readonly FileLike[]): Promise<void> {
    let count = 0;
    let last: LocalSet | null = null;
    try {
      for (const file of files) {
        for (const { name, code } of await readFile(file)) {
          last = newSet(name, code);
          await this.options.keeper.put(last);
          count++;
        }
      }
    } catch (error) {
      return this.options.say((error as Error).message, true);
    } finally {
      if (count) this.options.onChange();
    }
    if (count === 1 && last) {
      await this.options.claims.claim(last.id, false);
      await this.begin(last);
    }
    this.options.say(count === 1 ? `"${this.set.name}" is open. Press Play to hear it.` : `${count} sets are imported.`, false);
  }

  /** A link that holds the code. `to`: the page that opens it. */
  link(to: string): string | null {
    if (bytesOf(this.set.code) > MOST_CODE_BYTES) return null;
    return `${to}#${codeToHash(this.set.code)}`;
  }

  /** Makes a set the one of this tab. */
  private async begin(set: LocalSet): Promise<void> {
    const { claims, keeper, setCode, onChange } = this.options;
    await claims.claim(set.id, false);
    clearTimeout(this.soon);
    const before = this.kept ? this.set : null;
    // In one step: what is typed next belongs to the new one.
    this.set = set;
    this.kept = true;
    this.conflict = null;
    setCode(set.code);
    this.writeDraft();
    if (before) await keeper.put(before);
    await keeper.put(set);
    if (before && before.id !== set.id) claims.release(before.id);
    onChange();
  }

  private async undoRemoval(id: string, local: LocalSet | undefined, there: boolean): Promise<void> {
    if (there) {
      const back = await this.options.bridge.restore(id);
      if (!back.done) return this.options.say(back.why, true);
    }
    if (local) await this.options.keeper.put({ ...local, deleted: null });
    this.options.say(`"${local?.name ?? 'The set'}" is back.`, false);
    this.options.onChange();
  }

  private async saved(id: string, name: string, code: string, answer: SaveAnswer): Promise<void> {
    const { say, offer, keeper } = this.options;
    if ('kept' in answer) {
      const now = { base: answer.kept.version, savedName: name, savedCode: code };
      if (id === this.set.id) {
        this.conflict = null;
        this.set = { ...this.set, ...now };
        this.kept = true;
        await keeper.put(this.set);
      } else {
        const set = await keeper.get(id);
        if (set) await keeper.put({ ...set, ...now });
      }
      return say(`"${name}" is on the bridge, version ${answer.kept.version}.`, false);
    }
    if ('theirs' in answer) {
      if (id === this.set.id) this.conflict = { id, theirs: answer.theirs };
      return offer(answer.why, 'Save mine as a copy', () => void this.settle('copy'));
    }
    if (answer.code === 'set_deleted') {
      return offer(answer.why, 'Bring it back and save', () => {
        void this.options.bridge.restore(id).then((back) => (back.done ? this.save() : say(back.why, true)));
      });
    }
    say(answer.why, true);
  }

  private change(change: Partial<LocalSet>): void {
    this.set = { ...this.set, ...change, changed: Date.now() };
    this.kept = true;
    this.writeDraft();
    clearTimeout(this.soon);
    this.soon = setTimeout(() => void this.flush(), SOON_MS);
    this.options.onChange();
  }

  /** Puts the code as it is now into the history, unless it is what came last. */
  private async note(why: Moment['why']): Promise<void> {
    clearTimeout(this.soon);
    const { set, noted } = this;
    this.kept = true;
    this.noted = set;
    const same = noted?.id === set.id && noted.code === set.code;
    await this.options.keeper.put(set, same ? undefined : { set: set.id, at: Date.now(), code: set.code, why });
  }

  private writeDraft(): void {
    const { id, name, code, changed } = this.set;
    writeDraft({ id, name, code, at: changed });
  }
}
