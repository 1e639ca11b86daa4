// SPDX-License-Identifier: AGPL-3.0-or-later
import { beforeAll, describe, expect, it } from 'vitest';
import { decodePcm } from '../src/stream';

interface Processor {
  port: { onmessage: (event: { data: unknown }) => void; said: unknown[] };
  process: (inputs: unknown, outputs: Float32Array[][]) => boolean;
}

let Player: new () => Processor;

beforeAll(async () => {
  class Base {
    port = { onmessage: null, said: [] as unknown[], postMessage: (data: unknown) => this.port.said.push(data) };
  }
  Object.assign(globalThis, {
    AudioWorkletProcessor: Base,
    sampleRate: 1000,
    registerProcessor: (_: string, made: new () => Processor) => (Player = made),
  });
  await import('../src/streamworklet.js' as string);
});

function heard(player: Processor, blocks: number, size = 100): { left: number[]; alive: boolean } {
  const left: number[] = [];
  let alive = true;
  for (let i = 0; i < blocks; i++) {
    const output = [new Float32Array(size), new Float32Array(size)];
    alive = player.process([], [output]);
    left.push(...(output[0] ?? []));
  }
  return { left, alive };
}

const ramp = (from: number, count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => (from + i) / 2000);

describe('the worklet', () => {
  it('plays pieces as one sound, whatever their rate', () => {
    const player = new Player();
    player.port.onmessage({ data: { channels: [ramp(0, 600)], rate: 2000 } });
    const first = heard(player, 2).left;
    player.port.onmessage({ data: { channels: [ramp(600, 600)], rate: 2000 } });
    const all = [...first, ...heard(player, 3).left];
    all.forEach((value, i) => expect(value).toBeCloseTo(i / 1000, 4));
    expect(player.port.said).toEqual([]);
  });

  it('waits until enough is there, and says when something came too late', () => {
    const player = new Player();
    player.port.onmessage({ data: { channels: [new Float32Array(200).fill(1)], rate: 1000 } });
    expect(Math.max(...heard(player, 1).left)).toBe(0);
    player.port.onmessage({ data: { channels: [new Float32Array(100).fill(1)], rate: 1000 } });
    expect(Math.min(...heard(player, 2).left)).toBe(1);
    heard(player, 2);
    expect(player.port.said).toEqual(['hole']);
  });

  it('plays what is left at the end, and goes', () => {
    const player = new Player();
    player.port.onmessage({ data: { channels: [new Float32Array(150).fill(1)], rate: 1000 } });
    player.port.onmessage({ data: 'end' });
    const { left, alive } = heard(player, 2);
    expect(left.filter((value) => value === 1).length).toBeGreaterThanOrEqual(149);
    expect(alive).toBe(false);
    expect(player.port.said).toEqual(['ended']);
  });
});

describe('decodePcm', () => {
  it('takes interleaved 16-bit little-endian numbers apart', () => {
    const data = new Int16Array([32767, -32768, 0, 16384]).buffer;
    const [left, right] = decodePcm(data, 2);
    expect([...(left ?? [])].map((x) => Math.round(x * 100) / 100)).toEqual([1, 0]);
    expect([...(right ?? [])]).toEqual([-1, 0.5]);
  });
});
