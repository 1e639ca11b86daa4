// SPDX-License-Identifier: AGPL-3.0-or-later
/** The one tempo: what plays is what new sounds get. */

/** Highest bpm that is taken for four beats a cycle; above it a cycle is a beat. */
const MOST_BPM = 200;
/** What the bridge takes. */
const RANGE = [20, 400] as const;

const NUMBER = /^\s*\d+(?:\.\d+)?(?:\s*[*/+-]\s*\d+(?:\.\d+)?)*\s*$/;
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

/** Cycles a minute of what plays: of the first pattern that says `.cpm(…)`, else of the scheduler. */
export function cyclesPerMinute(code: string, cps: number): number {
  const said = /\.cpm\(([^()]*)\)/.exec(code.replace(COMMENT, ''))?.[1] ?? '';
  return (NUMBER.test(said) ? worth(said) : 0) || cps * 60;
}

/** What a plain sum comes to. */
function worth(sum: string): number {
  const terms = sum.match(/[+-]?\s*[^+-]+/g) ?? [];
  const product = (term: string): number => {
    const [first = '0', ...rest] = term.replace(/\s+/g, '').split(/(?=[*/])/);
    return rest.reduce((value, part) => (part.startsWith('*') ? value * Number(part.slice(1)) : value / Number(part.slice(1))), Number(first));
  };
  return terms.reduce((total, term) => total + product(term), 0);
}

export type Cycle = 'bar' | 'beat';

export const readCycle = (cpm: number): Cycle => (4 * cpm <= MOST_BPM ? 'bar' : 'beat');

/** Beats per minute; undefined when no sound could have them. */
export function beatsPerMinute(cpm: number, cycle: Cycle): number | undefined {
  const bpm = Math.round((cycle === 'bar' ? 4 * cpm : cpm) * 100) / 100;
  return bpm >= RANGE[0] && bpm <= RANGE[1] ? bpm : undefined;
}

export interface Shown {
  bpm: number | undefined;
  cycle: Cycle;
}

/** Follows what plays, what the session says, and what the player says of cycles. */
export class Tempo {
  private cpm: number | null = null;
  private session: { bpm: number | null; key: string | null } = { bpm: null, key: null };

  /** `chosen`: what the player said of the cycles of the set that is open. */
  constructor(
    private readonly onChange: (shown: Shown) => void,
    private readonly chosen: { get: () => Cycle | null; set: (cycle: Cycle) => void },
  ) {}

  /** Code was evaluated. */
  playing(code: string, cps: number): void {
    this.cpm = cyclesPerMinute(code, cps);
    this.tell();
  }

  shared(session: { bpm: number | null; key: string | null }): void {
    this.session = session;
    this.tell();
  }

  /** A cycle is a beat, or a bar: the player knows better. */
  turn(): void {
    this.chosen.set(this.cycle === 'bar' ? 'beat' : 'bar');
    this.tell();
  }

  get cycle(): Cycle {
    return this.chosen.get() ?? (this.cpm === null ? 'bar' : readCycle(this.cpm));
  }

  /** What a new sound gets whose words say no tempo; undefined before anything has played. */
  get bpm(): number | undefined {
    if (this.session.bpm !== null) return this.session.bpm;
    return this.cpm === null ? undefined : beatsPerMinute(this.cpm, this.cycle);
  }

  get key(): string | undefined {
    return this.session.key ?? undefined;
  }

  private tell(): void {
    this.onChange({ bpm: this.bpm, cycle: this.cycle });
  }
}

/** Keeps the choice of each set in this browser. */
export function storedCycle(storage: Storage, set: () => string): { get: () => Cycle | null; set: (cycle: Cycle) => void } {
  const key = (): string => `sample-bridge.cycle.${set()}`;
  return {
    get: () => {
      const kept = storage.getItem(key());
      return kept === 'bar' || kept === 'beat' ? kept : null;
    },
    set: (cycle) => {
      try {
        storage.setItem(key(), cycle);
      } catch {
        // A full or forbidden storage: the choice lasts no longer than the page, which does not stop it.
      }
    },
  };
}

/** True when words say a tempo or a key themselves. */
export const saysTempo = (words: string): boolean => /\b\d{2,3}(?:\.\d+)?\s*(?:bpm|beats per minute)\b/i.test(words);
export const saysKey = (words: string): boolean => /\b[a-g](?:#|b|♯|♭|[ -]?sharp|[ -]?flat)?[ -]?(?:major|minor|maj|min)\b/i.test(words);
