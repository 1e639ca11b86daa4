// SPDX-License-Identifier: AGPL-3.0-or-later
/** Names that do not exist yet: played as silence, asked for once, heard as soon as they are made. */
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
}

/** More new names than this in one evaluation are a slip (a random name, a loop), not a wish. */
export const MOST_NAMES = 16;

/** `gen_dusty_break` -> "dusty break", `musicgen_voice_2` -> "voice". */
export function promptOf(name: string): string {
  const words = name.replace(/^(gen|musicgen)_/, '').split('_').filter(Boolean);
  while (words.length > 1 && /^\d{1,2}$/.test(words.at(-1) ?? '')) words.pop();
  return words.join(' ');
}

export class Requests {
  /** Asked for, and neither made nor refused so far. */
  private readonly asked = new Set<string>();
  /** Wanted while there was no connection. */
  private readonly later = new Set<string>();

  constructor(private readonly options: RequestsOptions) {}

  /** Looks at the names of a pattern and asks for those that nobody has. */
  evaluated(names: string[]): void {
    const isNew = (name: string): boolean => isMakeable(name) && promptOf(name) !== '' && !this.options.knows(name);
    const wanted = names.filter((name) => isNew(name) && !this.asked.has(name));
    if (wanted.length > MOST_NAMES) {
      this.options.onProblem(
        `This code names ${wanted.length} sounds that do not exist; the first ${MOST_NAMES} are being made. Evaluate again for more.`,
      );
    }
    for (const name of wanted) this.options.placeholder(name);
    for (const name of wanted.slice(0, MOST_NAMES)) void this.ask(name);
  }

  /** The connection is there, and with it the list of what exists. A server that was started anew may have lost jobs. */
  online(): void {
    const names = [...this.later, ...this.asked];
    this.later.clear();
    this.asked.clear();
    for (const name of names) if (!this.options.knows(name)) void this.ask(name);
  }

  /** A name was made, or will not be: it may be asked for again. */
  settled(name: string): void {
    this.asked.delete(name);
  }

  private async ask(name: string): Promise<void> {
    if (!this.options.isOnline()) {
      this.later.add(name);
      return;
    }
    // Before the answer: the next evaluation may come first.
    this.asked.add(name);
    const bpm = this.options.bpm();
    const hint = bpm === undefined ? {} : { hint_bpm: bpm };
    const answer = await this.options.generate({ prompt: promptOf(name), name, ...hint });
    if (answer.ok) return;
    this.asked.delete(name);
    if (answer.error.code === 'offline') this.later.add(name);
    else this.options.onProblem(`${name}: ${answer.error.message}`);
  }
}
