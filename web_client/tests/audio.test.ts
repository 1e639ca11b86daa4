// SPDX-License-Identifier: AGPL-3.0-or-later
import { expect, test } from 'vitest';
import { makeupGain } from '../src/limiter';
import { outline } from '../src/peaks';
import { encodeWav } from '../src/wav';

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

test('a buffer becomes a WAV file of floats, channels interleaved, nothing clipped', async () => {
  const channels = [Float32Array.of(1.5, -1), Float32Array.of(0.25, 0)];
  const buffer = {
    numberOfChannels: 2,
    length: 2,
    sampleRate: 32000,
    getChannelData: (channel: number) => channels[channel]!,
  } as AudioBuffer;
  const bytes = new DataView(await encodeWav(buffer).arrayBuffer());
  const word = (at: number): string => String.fromCharCode(...[0, 1, 2, 3].map((i) => bytes.getUint8(at + i)));
  expect([word(0), word(8), word(36)]).toEqual(['RIFF', 'WAVE', 'data']);
  expect([bytes.getUint32(4, true), bytes.getUint32(40, true), bytes.byteLength]).toEqual([52, 16, 60]);
  expect([bytes.getUint16(20, true), bytes.getUint16(22, true), bytes.getUint32(24, true)]).toEqual([3, 2, 32000]);
  expect([44, 48, 52, 56].map((at) => bytes.getFloat32(at, true))).toEqual([1.5, 0.25, -1, 0]);
});
