// SPDX-License-Identifier: AGPL-3.0-or-later
/** Names that do not exist yet: played as silence, asked for once, playing as soon as they are made. */
import type { GenerateAnswer } from './connection';
import type { GenerateRequest } from './protocol';
import { isMakeable } from './samples';

export interface RequestsOptions {
  knows: (name: string) => boolean;
  placeholder: (name: string) => void;
  generate: (request: GenerateRequest) => Promise<GenerateAnswer>;
  isOnline: () => boolean;
  /** Beats per minute of what is playing: a loop made for it needs no stretching, and a one-shot has none. */
  bpm: () => number | undefined;
  onProblem: (message: string) => void;
  /** A name looks like a typing error of these: it is made when somebody says so. */
  onMistyped: (name: string, message: string, nearest: string[]) => void;
  /** True for a kept sound that can be cut. */
  canCut: (name: string) => boolean;
  /** Has slot `n` of a sound cut into slices, which come as `<name>_sl`; null, or a sentence that says why not. */
  cut: (name: string, n: number) => Promise<string | null>;
  /** Something is the matter with a name of the code. */
  onTrouble: (name: string, message: string) => void;
}

/** More new names than this in one evaluation are a slip (a random name, a loop), not a wish. */
export const MOST_NAMES = 16;

/** `gen_dusty_break` -> "dusty break", `musicgen_voice_2` -> "voice". */
export function promptOf(name: string): string {
  const words = name.replace(/^(gen|musicgen)_/, '').split('_').filter(Boolean);
  while (words.length > 1 && /^\d{1,2}$/.test(words.at(-1) ?? '')) words.pop();
  return words.join(' ');
}

/** Slices after the sounds that they are cut from. */
const wholeFirst = (names: string[]): string[] =>
  [...names].sort((a, b) => Number(slicesOf(a) !== null) - Number(slicesOf(b) !== null));

/** `gen_break_sl3` -> gen_break and 3: the slices of a sound, which is cut for them. */
export function slicesOf(name: string): { source: string; n: number } | null {
  const [, source, n] = /^(\w+)_sl(\d*)$/.exec(name) ?? [];
  return source === undefined ? null : { source, n: Number(n) };
}

export class Requests {
  /** Asked for, and neither made nor refused so far. */
  private readonly asked = new Set<string>();
  /** Wanted while there was no connection. */
  private readonly later = new Set<string>();
  /** Wanted although they look like a typing error. */
  private readonly meant = new Set<string>();
  /** Slices that wait for their sound, which is being made. */
  private readonly waiting = new Set<string>();

  constructor(private readonly options: RequestsOptions) {}

  /** Looks at the names of a pattern and asks for those that do not exist. */
  evaluated(names: string[]): void {
    const isNew = (name: string): boolean => isMakeable(name) && promptOf(name) !== '' && !this.options.knows(name);
    const wanted = names.filter((name) => isNew(name) && !this.asked.has(name));
    if (wanted.length > MOST_NAMES) {
      this.options.onProblem(
        `This code names ${wanted.length} sounds that do not exist; the first ${MOST_NAMES} are being made. Evaluate again for more.`,
      );
    }
    for (const name of wanted) this.options.placeholder(name);
    for (const name of wholeFirst(wanted.slice(0, MOST_NAMES))) void this.ask(name);
  }

  /** It is not a typing error. */
  makeAnyway(name: string): void {
    this.meant.add(name);
    void this.ask(name);
  }

  /** The connection is there, and with it the list of what exists. A server that was started again may have lost jobs. */
  online(): void {
    const names = wholeFirst([...this.later, ...this.asked]);
    this.later.clear();
    this.asked.clear();
    for (const name of names) if (!this.options.knows(name)) void this.ask(name);
  }

  /** A name was made, or will not be: it may be asked for again. */
  settled(name: string): void {
    this.asked.delete(name);
    for (const slices of [...this.waiting]) {
      if (slicesOf(slices)?.source !== name) continue;
      this.waiting.delete(slices);
      void this.ask(slices);
    }
  }

  private async ask(name: string): Promise<void> {
    if (!this.options.isOnline()) {
      this.later.add(name);
      return;
    }
    // Before the answer: the next evaluation may come first.
    this.asked.add(name);
    const slices = slicesOf(name);
    if (slices) return this.askForSlices(name, slices.source, slices.n);
    const bpm = this.options.bpm();
    const hint = bpm === undefined ? {} : { hint_bpm: bpm };
    const answer = await this.options.generate({ prompt: promptOf(name), name, ...hint, make: this.meant.has(name) });
    if (answer.ok) return;
    this.asked.delete(name);
    const { code, message, nearest = [] } = answer.error;
    if (code === 'offline') this.later.add(name);
    else if (code === 'mistyped_name') this.options.onMistyped(name, message, nearest);
    else this.options.onTrouble(name, `${name}: ${message}`);
  }

  private async askForSlices(name: string, source: string, n: number): Promise<void> {
    if (this.options.canCut(source)) {
      const problem = await this.options.cut(source, n);
      if (problem === null) return;
      this.options.onTrouble(name, `${name}: ${problem}`);
    } else if (this.asked.has(source) || this.options.knows(source)) {
      this.waiting.add(name);
    } else {
      this.options.onTrouble(name, `${name} are slices of ${source}, and there is no such sound. Name it in the code too, and it is made.`);
    }
    this.asked.delete(name);
  }
}
