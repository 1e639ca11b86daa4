// SPDX-License-Identifier: AGPL-3.0-or-later
/** What a set is, and what keeps sets in this browser. */

/** Bytes of a set's code in UTF-8: as much as the bridge keeps. */
export const MOST_CODE_BYTES = 1024 * 1024;
export const LONGEST_NAME = 80;
/** Evaluations that are kept of one set. */
export const MOST_EVALUATIONS = 300;

/** A set of this browser. Times are Unix milliseconds. */
export interface LocalSet {
  /** 16 hex digits. */
  id: string;
  name: string;
  code: string;
  changed: number;
  /** The version on the bridge that this one was made of; 0: the bridge has none. */
  base: number;
  /** Name and code of that version. */
  savedName: string;
  savedCode: string;
  /** When it was deleted here; null: it was not. */
  deleted: number | null;
}

/** Code that a set had. */
export interface Moment {
  set: string;
  at: number;
  code: string;
  /** It was evaluated, or other code took its place in the editor. */
  why: 'played' | 'replaced';
}

export interface Keeper {
  sets(): Promise<LocalSet[]>;
  get(id: string): Promise<LocalSet | undefined>;
  /** Keeps a set, and a moment of it, in one step. */
  put(set: LocalSet, moment?: Moment): Promise<void>;
  /** Removes a set with its history. */
  remove(id: string): Promise<void>;
  /** The newest first. */
  history(id: string): Promise<Moment[]>;
}

export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function newSet(name: string, code: string): LocalSet {
  return { id: newId(), name, code, changed: Date.now(), base: 0, savedName: '', savedCode: '', deleted: null };
}

/** Has it something that the bridge has not? */
export function isDirty(set: LocalSet): boolean {
  return set.base === 0 || set.name !== set.savedName || set.code !== set.savedCode;
}

/** As the editor holds code: lines end in a line feed. */
export function lines(code: string): string {
  return code.replace(/\r\n?/g, '\n');
}

/** Bytes of a text in UTF-8. */
export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A name as the bridge takes it: one line, at most this long; null where nothing is left. */
export function asName(text: string): string | null {
  const name = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').replace(/\p{Zs}/gu, ' ').trim();
  return [...name].slice(0, LONGEST_NAME).join('').trim() || null;
}
