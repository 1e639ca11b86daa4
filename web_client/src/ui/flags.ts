// SPDX-License-Identifier: AGPL-3.0-or-later
/** What the quality gate noticed of a sound, in words: the sentences are those of bridge/audio/finishing/gate.py. */

export interface FlagText {
  label: string;
  /** What it means, where that is known. */
  sentence: string;
}

const FLAGS: Record<string, [label: string, sentence: string]> = {
  off_grid: ['another tempo', 'The engine played at another tempo, too far off to be stretched without being heard.'],
  not_on_grid: ['off the grid', 'Hits lie off the sixteenths and the triplets.'],
  no_pulse: ['no clear pulse', 'Nothing in this loop starts clearly, so it was cut by the clock.'],
  short_material: ['partly repeated', 'The engine made too little: a part of it is repeated.'],
  audible_seam: ['audible seam', 'The end of the loop meets its beginning with a click or a jump.'],
  seam_bump: ['uneven seam', 'The level or the colour of this texture changes where it repeats.'],
  late_start: ['late start', 'Silence comes before the attack.'],
  long_tail: ['silent tail', 'Silence follows the sound.'],
  cut_off: ['cut off', 'It was still sounding where it ends, and is faded out there.'],
  peak_limited: ['rather quiet', 'Its peaks keep it quieter than other sounds of its kind.'],
  clipped: ['clipped', 'The engine cut the tops of the waves off.'],
  offset: ['off centre', 'The wave does not swing around zero.'],
  mono_loss: ['weak in mono', 'The channels cancel each other out where they are mixed to one.'],
  wide_bass: ['wide bass', 'The channels cancel each other out under 120 Hz, where clubs play one.'],
  noisy: ['noisy', 'Hiss can be heard under the sound.'],
  dull: ['dull', 'A cymbal or a hat without its high frequencies.'],
  no_pitch: ['no steady pitch', 'No steady pitch was found, so note() plays it from C.'],
  out_of_tune: ['out of tune', 'The pitch is more than 15 cents away from a semitone.'],
  unsteady_pitch: ['unsteady pitch', 'The pitch wanders.'],
  other_key: ['another key', 'It is in another key than the one asked for.'],
  step_skipped: ['not fully finished', 'A step of finishing failed and was left out.'],
};

/** The names of all flags that have a sentence here. */
export const knownFlags = (): string[] => Object.keys(FLAGS);

/** `no_pitch` -> "no steady pitch" and its sentence; a flag of a newer bridge is shown with spaces and no sentence. */
export function flagText(flag: string): FlagText {
  const [label, sentence] = (Object.hasOwn(FLAGS, flag) && FLAGS[flag]) || [flag.replaceAll('_', ' '), ''];
  return { label, sentence };
}
