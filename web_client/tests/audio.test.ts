// SPDX-License-Identifier: AGPL-3.0-or-later
import { expect, test } from 'vitest';
import { bend, makeupGain } from '../src/limiter';
import { outline, Outlines, peaksUrl } from '../src/peaks';
import { LoadFailure } from '../src/sound/failures';

test('the make-up gain of a compressor is the one of the Web Audio specification', () => {
  // -2 dB threshold, 20:1: 1.9 dB less at full scale, of which six tenths are given back.
  expect(20 * Math.log10(makeupGain(-2, 20))).toBeCloseTo(1.14, 6);
});

test('the ceiling leaves quiet values alone, never falls, and never lets more than -1 dBFS through', () => {
  const most = 10 ** (-1 / 20);
  let before = -1;
  for (let value = -8; value <= 8; value += 1 / 1024) {
    const bent = bend(value);
    if (Math.abs(value) < 0.79) expect(bent).toBe(value);
    expect(bent).toBeGreaterThanOrEqual(before);
    expect(Math.abs(bent)).toBeLessThanOrEqual(most);
    before = bent;
  }
});

test('the outline keeps the largest distance from silence of each part', () => {
  const pairs = Int8Array.of(0, 64, -96, 0, 0, 0, -32, 16);
  expect([...outline(pairs, 4)]).toEqual([0.5, 0.75, 0, 0.25]);
  expect([...outline(new Int8Array(), 2)]).toEqual([0, 0]);
});

test('an outline lies beside its file, whatever the format', () => {
  const files = ['/samples/abc.wav', '/samples/abc.24.wav', '/samples/abc.mp3'];
  expect(files.map(peaksUrl)).toEqual(files.map(() => '/samples/abc.peaks'));
});

test('an outline that failed because the bridge was away is drawn when it is back', async () => {
  let away = true;
  const asked: string[] = [];
  const outlines = new Outlines((url) => {
    asked.push(url);
    return away ? Promise.reject(new LoadFailure('unreachable', url)) : Promise.resolve(Int8Array.of(-128, 0).buffer);
  });
  const drawn = outlines.load('/samples/a.wav');
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked).toHaveLength(1);
  away = false;
  outlines.again();
  expect((await drawn)[0]).toBe(1);
});
