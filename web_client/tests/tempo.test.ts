// SPDX-License-Identifier: AGPL-3.0-or-later
import { describe, expect, test } from 'vitest';
import { beatsPerMinute, cyclesPerMinute, readCycle, saysKey, saysTempo, storedCycle, Tempo, type Shown } from '../src/editor/tempo';

describe('the tempo of what plays', () => {
  test.each([
    ['$: s("bd")', 0.5, 30],
    ['$: s("bd").cpm(90/4)', 0.5, 22.5],
    ['$: s("bd").cpm( 120 * 2 / 8 + 1 )', 0.5, 31],
    ['// s("bd").cpm(10)\n$: s("bd")', 0.6, 36],
    ['$: s("bd").cpm("<20 30>")', 0.5, 30],
  ])('of %j at %d cycles a second is %d cycles a minute', (code, cps, cpm) => expect(cyclesPerMinute(code, cps)).toBeCloseTo(cpm));

  test.each([
    [22.5, 'bar', 90],
    [50, 'bar', 200],
    [51, 'beat', 51],
    [170, 'beat', 170],
    [4, 'bar', undefined],
  ])('%d cycles a minute are a %s each: %s bpm', (cpm, cycle, bpm) => {
    expect(readCycle(cpm)).toBe(cycle);
    expect(beatsPerMinute(cpm, readCycle(cpm))).toBe(bpm);
  });

  test('is nothing before code was played; a click says what a cycle is; the session says more', () => {
    const said: Shown[] = [];
    let set = 'a';
    const kept = new Map<string, string>();
    const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
    const tempo = new Tempo((shown) => said.push(shown), storedCycle(storage as unknown as Storage, () => set));
    expect(tempo.bpm).toBeUndefined();
    tempo.playing('setcpm(40)', 40 / 60);
    tempo.turn();
    expect(said).toEqual([{ bpm: 160, cycle: 'bar' }, { bpm: 40, cycle: 'beat' }]);
    tempo.playing('setcpm(100)', 100 / 60);
    expect(tempo.bpm).toBe(100);
    set = 'b'; // another set
    expect([tempo.cycle, tempo.bpm]).toEqual(['beat', 100]);
    tempo.playing('setcpm(40)', 40 / 60);
    expect(tempo.bpm).toBe(160);
    tempo.shared({ bpm: 92, key: 'fm' });
    expect([tempo.bpm, tempo.key]).toEqual([92, 'fm']);
  });

  test('gives way to words that say one', () => {
    expect(['drum break 92 bpm', 'break at 120', 'pad in F# minor', 'a minor', 'minor pad'].map((words) => [saysTempo(words), saysKey(words)])).toEqual([
      [true, false],
      [false, false],
      [false, true],
      [false, true],
      [false, false],
    ]);
  });
});
