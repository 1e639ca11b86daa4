// SPDX-License-Identifier: AGPL-3.0-or-later
import { describe, expect, test } from 'vitest';
import type { HelloReply, NumberedEvent } from '../src/protocol';
import { Sequence } from '../src/sequence';

const event = (seq: number): NumberedEvent => ({ seq, type: 'unknown', value: null });
const server = { version: '', engine: '', device: '', why: '' };
const everything = (head: number, epoch = 'a'): HelloReply => ({ epoch, head, server, reset: true, sounds: [] });
const missed = (head: number, ...seqs: number[]): HelloReply => ({
  epoch: 'a',
  head,
  server,
  reset: false,
  events: seqs.map(event),
});

function listening(): { sequence: Sequence; got: number[]; resets: number[] } {
  const got: number[] = [];
  const resets: number[] = [];
  const sequence = new Sequence({ reset: () => resets.push(got.length), event: ({ seq }) => got.push(seq) });
  return { sequence, got, resets };
}

function started(head: number): ReturnType<typeof listening> {
  const made = listening();
  made.sequence.ask();
  made.sequence.answer(everything(head));
  return made;
}

describe('the watermark', () => {
  test('the first hello asks for everything, the next for what came after the last number', () => {
    const { sequence, resets } = listening();
    expect(sequence.ask()).toEqual({});
    expect(sequence.answer(everything(7))).toBe(true);
    expect(resets).toEqual([0]);
    expect(sequence.ask()).toEqual({ epoch: 'a', since: 7 });
  });

  test('events in order pass, duplicates do not', () => {
    const { sequence, got } = started(7);
    expect([8, 9, 9, 8, 3].map((seq) => sequence.receive(event(seq)))).toEqual([true, true, true, true, true]);
    expect(got).toEqual([8, 9]);
    expect(sequence.since).toBe(9);
  });

  test('it does not move over a gap, and what lies behind the gap waits', () => {
    const { sequence, got } = started(7);
    expect(sequence.receive(event(9))).toBe(false);
    expect(sequence.since).toBe(7);
    expect(sequence.ask()).toEqual({ epoch: 'a', since: 7 });
    expect(sequence.receive(event(10))).toBe(true);
    expect(sequence.answer(missed(9, 8, 9))).toBe(true);
    expect(got).toEqual([8, 9, 10]);
  });

  test('while a hello is under way events wait for its answer', () => {
    const { sequence, got, resets } = listening();
    sequence.ask();
    for (const seq of [9, 7, 8]) sequence.receive(event(seq));
    expect(got).toEqual([]);
    expect(sequence.answer(everything(7))).toBe(true);
    expect(got).toEqual([8, 9]);
    expect(resets).toEqual([0]);
  });

  test('what waited is forgotten with the connection, since the next answer brings it', () => {
    const { sequence, got } = started(7);
    sequence.receive(event(9));
    sequence.interrupt();
    sequence.ask();
    expect(sequence.answer(missed(9, 8, 9))).toBe(true);
    expect(got).toEqual([8, 9]);
  });

  test('what waited of an old catalogue does not mix with a new one', () => {
    const { sequence, got } = started(7);
    sequence.receive(event(9));
    sequence.interrupt();
    sequence.ask();
    expect(sequence.answer(everything(3, 'b'))).toBe(true);
    expect(sequence.receive(event(4))).toBe(true);
    expect(got).toEqual([4]);
  });

  test('an answer that stops early is asked on', () => {
    const { sequence } = started(7);
    sequence.ask();
    expect(sequence.answer(missed(10, 8))).toBe(false);
    expect(sequence.ask()).toEqual({ epoch: 'a', since: 8 });
  });

  test('an answer that helps nothing leads to a fresh start, not to a circle', () => {
    const { sequence } = started(7);
    sequence.ask();
    expect(sequence.answer(missed(10, 9, 10))).toBe(false);
    expect(sequence.ask()).toEqual({});
  });

  test('an answer of another epoch without everything leads to a fresh start', () => {
    const { sequence, got } = started(7);
    sequence.ask();
    expect(sequence.answer({ ...missed(9, 8, 9), epoch: 'b' })).toBe(false);
    expect(got).toEqual([]);
    expect(sequence.ask()).toEqual({});
  });

  test('a head that is further on, or of another epoch, is noticed', () => {
    const { sequence } = started(7);
    expect(sequence.isBehind({ epoch: 'a', head: 7 })).toBe(false);
    expect(sequence.isBehind({ epoch: 'a', head: 8 })).toBe(true);
    expect(sequence.isBehind({ epoch: 'b', head: 7 })).toBe(true);
  });

  test('a head that is announced while a hello is under way counts after its answer', () => {
    const { sequence } = started(7);
    sequence.ask();
    expect(sequence.isBehind({ epoch: 'a', head: 8 })).toBe(false);
    expect(sequence.answer(missed(7))).toBe(false);
    expect(sequence.ask()).toEqual({ epoch: 'a', since: 7 });
    expect(sequence.answer(missed(8, 8))).toBe(true);
  });

  test('a receiver that throws does not get the event twice', () => {
    let calls = 0;
    const sequence = new Sequence({
      reset: () => undefined,
      event: () => {
        calls += 1;
        throw new Error('broken view');
      },
    });
    sequence.ask();
    sequence.answer(everything(0));
    expect(() => sequence.receive(event(1))).toThrow('broken view');
    sequence.receive(event(1));
    expect(calls).toBe(1);
  });
});

test('whatever is lost, doubled or late, each event arrives once and in order', () => {
  let state = 1;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let round = 0; round < 200; round += 1) {
    const { sequence, got } = started(0);
    const late: number[] = [];
    let head = 0;
    const hello = (): void => {
      if (random() < 0.2) {
        sequence.ask();
        sequence.interrupt(); // the connection broke in the middle
      }
      const { since = 0 } = sequence.ask();
      const reply = missed(head, ...Array.from({ length: head - since }, (_, i) => since + 1 + i));
      while (late.length && random() < 0.5) sequence.receive(event(late.pop()!));
      expect(sequence.answer(reply)).toBe(true);
    };
    for (let i = 0; i < 60; i += 1) {
      head += 1;
      const fate = random();
      if (fate < 0.15) continue; // lost
      if (fate < 0.3) late.push(head);
      else if (!sequence.receive(event(head))) hello();
      if (fate > 0.85) sequence.receive(event(head)); // doubled
      if (random() < 0.05 && sequence.isBehind({ epoch: 'a', head: head })) hello();
    }
    if (sequence.isBehind({ epoch: 'a', head: head })) hello();
    expect(got).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  }
});
