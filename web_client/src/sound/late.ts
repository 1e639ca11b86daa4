// SPDX-License-Identifier: AGPL-3.0-or-later
/** Where an event begins whose sound came after its time. Times are seconds of the audio clock. */

export type Values = Readonly<Record<string, unknown>>;

/** An event as the scheduler gave it. */
export interface Onset {
  time: number;
  /** Of the event; seconds. */
  duration: number;
  value: Values;
}

/** How the sample of an event plays. */
export interface Playing {
  /** Length of the sample at its own speed. */
  seconds: number;
  /** Seconds of the sample that pass in one second; above 0. */
  rate: number;
}

/** What would play shorter than this is better heard from its start, at its next event: a drum without its attack is a click. */
const LONG_S = 1;
/** Less than this is not worth beginning. */
const REST_S = 0.25;
/** Begins softly: the middle of a sound is rarely silent. */
const FADE_S = 0.008;
/** Superdough starts stretched sounds this much earlier. */
const STRETCH_S = 0.04;

/**
 * The event to schedule at `now`: as it was while its time is still to come, from inside its sound once that has
 * passed; null when it is over or too short.
 */
export function lateOnset(onset: Onset, { seconds, rate }: Playing, now: number): Onset | null {
  const { value } = onset;
  const number = (key: string, otherwise: number): number => {
    const given = value[key];
    return typeof given === 'number' && Number.isFinite(given) ? given : otherwise;
  };
  const wanted = onset.time + number('nudge', 0);
  const stretched = value['stretch'] === undefined ? 0 : STRETCH_S;
  const at = now + stretched;
  const rest: Record<string, unknown> = { ...value };
  // The name has its bank in it, and the duck was done when the event came.
  delete rest['bank'];
  delete rest['duckorbit'];
  if (wanted >= at) return { ...onset, value: rest };

  const elapsed = at - wanted;
  const begin = number('begin', 0);
  const end = number('end', 1);
  const attack = number('attack', 0);
  const decay = number('decay', 0);
  const loops = Boolean(value['loop']);
  const cut = loops || value['clip'] !== undefined || value['release'] !== undefined;
  const whole = ((end - begin) * seconds) / rate;
  const total = cut ? (loops ? onset.duration : Math.min(onset.duration + number('release', 0), whole)) : whole;
  if (total < LONG_S || total - elapsed < REST_S) return null;
  // An envelope that falls to nothing has done so by now.
  const falls = value['decay'] !== undefined && number('sustain', 0) <= 0.001;
  if (falls && elapsed > attack + decay) return null;

  let inside = begin + (elapsed * rate) / seconds;
  if (loops) {
    const from = number('loopBegin', 0);
    const to = number('loopEnd', 1);
    if (inside >= to && to > from) inside = from + ((inside - from) % (to - from));
  }
  Object.assign(rest, { begin: inside, attack: Math.max(FADE_S, attack - elapsed) });
  if (decay > 0) rest['decay'] = Math.max(0.001, decay - Math.max(0, elapsed - attack));
  delete rest['nudge'];
  return { time: at, duration: Math.max(0.05, onset.time + onset.duration - at), value: rest };
}
