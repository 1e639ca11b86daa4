// SPDX-License-Identifier: AGPL-3.0-or-later
import { expect, test } from 'vitest';
import { makeupGain } from '../src/limiter';
import { outline } from '../src/peaks';

test('the make-up gain of a compressor is the one of the Web Audio specification', () => {
  // -2 dB threshold, 20:1: 1.9 dB less at full scale, of which six tenths are given back.
  expect(20 * Math.log10(makeupGain(-2, 20))).toBeCloseTo(1.14, 6);
});

test('the outline keeps the loudest value of each part, of all channels', () => {
  const left = Float32Array.of(0, 0.5, 0, -0.75, 0, 0, 0, 0);
  const right = Float32Array.of(0, 0, 0, 0, 0, 0, -0.25, 0);
  expect([...outline([left, right], 4)]).toEqual([0.5, 0.75, 0, 0.25]);
});

test('the outline of a sample shorter than the picture has no holes it cannot explain', () => {
  expect([...outline([Float32Array.of(1)], 4)]).toEqual([1, 0, 0, 0]);
  expect([...outline([new Float32Array()], 2)]).toEqual([0, 0]);
});
