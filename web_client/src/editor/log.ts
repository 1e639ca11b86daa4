// SPDX-License-Identifier: AGPL-3.0-or-later
/** Strudel's log, read: what a player should know of it, in words. */
import { plain } from './faults';

export type Said =
  /** Code was evaluated and plays. */
  | { kind: 'evaluated' }
  /** No sound has this name. */
  | { kind: 'missing'; name: string }
  /** What a player may like to know, but need not do anything about. */
  | { kind: 'harmless'; message: string }
  | { kind: 'error'; message: string };

/** Null for what is of no use to a player, and for errors of evaluation, which come with their place another way. */
export function readLog(message: string, type?: string): Said | null {
  if (message.startsWith('[eval]')) return message.includes('error') ? null : { kind: 'evaluated' };
  const missing = /sound (\S+) not found/.exec(message)?.[1];
  if (missing) return { kind: 'missing', name: missing };
  const late = /(?:sound|sample) "?([^"\s]+?)(?::\d+)?"? took too long/.exec(message)?.[1];
  if (late) return { kind: 'harmless', message: `${late} was not loaded in time for one event. It plays from the next.` };
  const orbit = /duck target orbit (\S+) does not exist/.exec(message)?.[1];
  if (orbit) return { kind: 'harmless', message: `duck: nothing plays on orbit ${orbit} yet.` };
  if (type === 'error' || /\berror:/.test(message)) return { kind: 'error', message: plain(message) };
  if (type === 'warning') return { kind: 'harmless', message: plain(message) };
  return null;
}
