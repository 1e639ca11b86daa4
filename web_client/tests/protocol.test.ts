// SPDX-License-Identifier: AGPL-3.0-or-later
import { describe, expect, test } from 'vitest';
import * as protocol from '../src/protocol';
import { golden, goldenNames } from './golden';

const same = (value: unknown): unknown => value;

/** How each golden message is read. What the page sends itself only has to be the type it sends. */
const readers: Record<string, (value: unknown) => unknown> = {
  hello_request: same,
  hello_reply_events: protocol.parseHelloReply,
  hello_reply_reset: protocol.parseHelloReply,
  sound: protocol.parseSound,
  sound_standin: protocol.parseSound,
  sound_pitched: protocol.parseSound,
  sound_removed: protocol.parseSoundRemoved,
  job_progress: protocol.parseJob,
  job_ended: protocol.parseJob,
  head: protocol.parseHead,
  generate_request: same,
  generate_reply: protocol.parseGenerateReply,
  generate_reply_nearest: protocol.parseGenerateReply,
  generate_error: protocol.parseErrorReply,
  cancel: same,
  session: protocol.parseSession,
};

describe('golden messages', () => {
  test('every golden file has a reader and every reader a golden file', () => {
    expect(goldenNames().sort()).toEqual(Object.keys(readers).sort());
  });

  test.each(Object.entries(readers))('%s is read', (name, read) => {
    expect(read(golden(name))).not.toBeNull();
  });

  test.each(['sound', 'sound_standin', 'sound_pitched', 'head', 'session', 'generate_reply', 'sound_removed'])(
    'nothing of %s is lost or changed by reading it',
    (name) => expect(readers[name]!(golden(name))).toEqual(golden(name)),
  );

  test('requests are what the types say', () => {
    const hello: protocol.HelloRequest = golden('hello_request') as { epoch: string; since: number; session: string };
    const wish = golden('generate_request') as protocol.GenerateRequest;
    expect(Number.isInteger(hello.since)).toBe(true);
    expect(typeof wish.prompt).toBe('string');
  });

  test('an answer with events has each of them with its type, in order', () => {
    const reply = protocol.parseHelloReply(golden('hello_reply_events'));
    expect(reply?.reset).toBe(false);
    const events = reply?.reset === false ? reply.events : [];
    expect(events.map(({ seq, type }) => [seq, type])).toEqual([
      [42, 'sound'],
      [43, 'sound'],
      [44, 'sound'],
      [45, 'sound_removed'],
      [46, 'job'],
    ]);
    expect(events.every(({ value }) => value !== null)).toBe(true);
    expect(reply?.server.engine).toBe('procedural');
  });

  test('progress has no number, an ended job has one', () => {
    expect(protocol.parseJob(golden('job_progress'))).toMatchObject({ seq: null, progress: 0.375, error: null });
    expect(protocol.parseJob(golden('job_ended'))).toMatchObject({ seq: 46, state: 'failed', error: { code: 'engine_crashed' } });
  });
});

describe('what is not a message', () => {
  const junk = [null, undefined, 3, 'sound', [], {}, { seq: 1 }, { name: 7 }, { urls: ['/a'], name: 'A B' }];

  test.each(Object.entries(readers).filter(([, read]) => read !== same))('%s does not throw over it', (_, read) => {
    for (const value of junk) expect(read(value)).toBeNull();
  });

  const sound = golden('sound') as Record<string, unknown>;

  test.each([
    'https://elsewhere.example/a.wav',
    '//elsewhere.example/a.wav',
    '/\\elsewhere.example/a.wav',
    'data:audio/wav;base64,AAAA',
    'javascript:alert(1)',
    'samples/a.wav',
    '/a b.wav',
  ])('an address outside this server is refused: %s', (url) => {
    expect(protocol.parseSound({ ...sound, urls: [url] })).toBeNull();
    expect(protocol.parseSound({ ...sound, urls: { c3: url } })).toBeNull();
  });

  test.each(['__proto__', 'Kick', 'a b', '', '<b>', 'a'.repeat(81)])('a name that is none is refused: %s', (name) => {
    expect(protocol.parseSound({ ...sound, name })).toBeNull();
  });

  test('bad optional fields count as absent', () => {
    const read = protocol.parseSound({ name: 'gen_a', urls: ['/samples/a.wav'], bpm: '92', flags: 'x', aliases: [1, 'Bad name'] });
    expect(read).toMatchObject({ bpm: null, flags: [], aliases: [], n: 0, commercial: false, strudel: 's("gen_a")' });
  });

  test('a numbered message that cannot be read keeps its number', () => {
    expect(protocol.parseNumbered('sound', { seq: 7, urls: 3 })).toEqual({ seq: 7, type: 'sound', value: null });
    expect(protocol.parseNumbered('of_tomorrow', { seq: 8 })).toEqual({ seq: 8, type: 'unknown', value: null });
    expect(protocol.parseNumbered('sound', { seq: -1 })).toBeNull();
  });
});

test('a slot needs its own address, of a note map one address a note', () => {
  expect(protocol.slotUrls(['/a', '/b'], 1)).toEqual(['/b']);
  expect(protocol.slotUrls(['/a', '/b'], 2)).toEqual(['/a']);
  expect(protocol.slotUrls({ c3: '/a', g3: ['/b', '/c'] }, 1)).toEqual(['/a', '/c']);
});
