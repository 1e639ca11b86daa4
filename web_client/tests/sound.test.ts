// SPDX-License-Identifier: AGPL-3.0-or-later
/** Loading, keeping and beginning late. */
import { describe, expect, test } from 'vitest';
import { Awake } from '../src/sound/awake';
import { Buffers, type Decoded } from '../src/sound/buffers';
import { LoadFailure, type FailureKind } from '../src/sound/failures';
import { lateOnset, type Onset, type Playing } from '../src/sound/late';
import { Loader } from '../src/sound/loader';
import { WaitingEvents } from '../src/sound/waiting';
import { Warming } from '../src/sound/warm';
import { ServerVersion } from '../src/updated';
import { sound } from './golden';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('decoded audio', () => {
  /** Every address holds so many bytes of mono audio as it says: `/100` has 100. */
  const cache = (budgetBytes: number, fail = new Set<string>()): { buffers: Buffers<Decoded>; fetched: string[] } => {
    const fetched: string[] = [];
    const buffers = new Buffers<Decoded>({
      fetch: (url) => {
        fetched.push(url);
        if (fail.has(url)) return Promise.reject(new LoadFailure('unreachable', url));
        return Promise.resolve(new ArrayBuffer(Number(url.replace(/\D/g, ''))));
      },
      decode: ({ byteLength }) => {
        if (byteLength === 13) return Promise.reject(new Error('not audio'));
        return Promise.resolve({ duration: 1, length: byteLength / 4, numberOfChannels: 1 });
      },
      budgetBytes,
    });
    return { buffers, fetched };
  };

  test('is forgotten least recently played first when the budget is full', async () => {
    const { buffers } = cache(250);
    await buffers.load('/a100');
    await buffers.load('/b100');
    buffers.play('/a100');
    await buffers.load('/c100');
    expect(['/a100', '/b100', '/c100'].map((url) => buffers.has(url))).toEqual([true, false, true]);
    expect(buffers.bytes).toBe(200);
  });

  test('that the code names is never forgotten, and the rest goes when the budget shrinks', async () => {
    const { buffers } = cache(1000);
    for (const url of ['/a100', '/b100', '/c100']) await buffers.load(url);
    buffers.keep(new Set(['/a100']));
    buffers.budgetBytes = 50;
    expect(['/a100', '/b100', '/c100'].map((url) => buffers.has(url))).toEqual([true, false, false]);
    await buffers.load('/d100');
    expect(buffers.has('/d100'), 'what has just come can be played once').toBe(true);
  });

  test('is fetched once for all who ask at once, and again after a failure', async () => {
    const fail = new Set(['/a100']);
    const { buffers, fetched } = cache(1000, fail);
    const both = await Promise.allSettled([buffers.load('/a100'), buffers.load('/a100')]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    fail.clear();
    await buffers.load('/a100');
    expect(fetched).toEqual(['/a100', '/a100']);
    await expect(buffers.load('/a13')).rejects.toMatchObject({ kind: 'not_audio' });
  });

  test('that a program gave is kept whatever the budget', async () => {
    const { buffers } = cache(0);
    const given = { duration: 1, length: 1000, numberOfChannels: 2 };
    buffers.put('buffer:mine', given);
    await buffers.load('/a100');
    await buffers.load('/b100');
    expect(buffers.play('buffer:mine')).toBe(given);
    expect(buffers.has('/a100')).toBe(false);
  });
});

describe('a late event', () => {
  const onset = (value: Record<string, unknown> = {}, time = 10, duration = 8): Onset => ({ time, duration, value });
  const playing: Playing = { seconds: 8, rate: 1 };

  test('whose time is still to come begins at its time, without a second duck and a second bank', () => {
    const late = lateOnset(onset({ s: 'a_b', bank: 'a', duckorbit: 2, gain: 0.5 }), playing, 9);
    expect(late).toEqual({ time: 10, duration: 8, value: { s: 'a_b', gain: 0.5 } });
  });

  test.each([
    ['at its own speed', {}, playing, 3 / 8],
    ['pitched an octave up', {}, { seconds: 8, rate: 2 }, 6 / 8],
    ['from its own begin', { begin: 0.25 }, playing, 0.25 + 3 / 8],
    ['moved by nudge', { nudge: 1 }, playing, 2 / 8],
    ['looped, past its end', { loop: 1 }, { seconds: 2, rate: 1 }, 0.5],
    ['looped between two places', { loop: 1, loopBegin: 0.25, loopEnd: 0.75 }, { seconds: 2, rate: 1 }, 0.5],
  ])('begins where it would be by now: %s', (_, value, how, begin) => {
    const late = lateOnset(onset(value), how, 13);
    expect(late?.time).toBeCloseTo(13, 9);
    expect(late?.value['begin']).toBeCloseTo(begin, 9);
    expect(late?.value['nudge']).toBeUndefined();
    expect(late?.duration).toBeCloseTo(5, 9);
  });

  test.each([
    ['is over', onset(), playing, 17.9],
    ['was cut by the end of its event', onset({ clip: 1 }, 10, 2), playing, 12],
    ['is short: a drum without its attack is a click', onset(), { seconds: 0.6, rate: 1 }, 10.1],
    ['has faded out by its envelope', onset({ decay: 0.3, sustain: 0 }), playing, 12],
  ])('does not begin when it %s', (_, event, how, now) => {
    expect(lateOnset(event, how, now)).toBeNull();
  });

  test('goes on with its attack where it would be, and never begins with a click', () => {
    expect(lateOnset(onset({ attack: 4 }), playing, 13)?.value['attack']).toBeCloseTo(1, 9);
    expect(lateOnset(onset({ attack: 1 }), playing, 13)?.value['attack']).toBeGreaterThan(0);
  });

  test('waits by its name, the newest eight, until its name is not played any more', () => {
    const waiting = new WaitingEvents();
    for (let time = 0; time < 20; time += 1) waiting.add({ ...onset({}, time), name: 'gen_a', cps: 1 });
    waiting.add({ ...onset({}, 5), name: 'gen_b', cps: 1 });
    waiting.retain(new Set(['gen_a']));
    expect(waiting.names()).toEqual(['gen_a']);
    const times: number[] = [];
    waiting.offer('gen_a', ({ time }) => times.push(time) > 0);
    expect(times).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
    expect(waiting.names()).toEqual([]);
  });
});

describe('what is wanted', () => {
  class Server {
    readonly asked: string[] = [];
    readonly said: string[] = [];
    readonly healed: string[] = [];
    answer: Record<string, FailureKind> = {};
    private readonly pauses: (() => void)[] = [];
    readonly loader = new Loader({
      load: (url, fresh) => {
        this.asked.push(fresh ? `${url} fresh` : url);
        const failure = this.answer[url];
        return failure ? Promise.reject(new LoadFailure(failure, url)) : Promise.resolve();
      },
      onProblem: (message) => this.said.push(message),
      onHealed: (message) => this.healed.push(message),
      wait: () => new Promise((resolve) => this.pauses.push(resolve)),
    });
    /** Lets all pauses end that have begun. */
    async tick(): Promise<void> {
      for (const end of this.pauses.splice(0)) end();
      await settle();
    }
  }

  test('is tried until the bridge is back, with one sentence that is taken back then', async () => {
    const server = new Server();
    server.answer = { '/a': 'unreachable' };
    const loaded = server.loader.want('/a', 'gen_rain');
    for (let i = 0; i < 5; i += 1) await server.tick();
    expect(server.asked.length).toBeGreaterThan(3);
    expect(server.said).toEqual([expect.stringMatching(/gen_rain.*bridge does not answer/)]);
    server.answer = {};
    await server.tick();
    expect(await loaded).toBe(true);
    expect(server.healed).toEqual(server.said);
  });

  test('of many addresses one asks whether the bridge is back, and then all of them come', async () => {
    const server = new Server();
    const urls = Array.from({ length: 50 }, (_, i) => `/${i}`);
    server.answer = Object.fromEntries(urls.map((url) => [url, 'unreachable' as const]));
    const loads = urls.map((url) => server.loader.want(url, `gen_${url}`));
    await server.tick();
    server.asked.length = 0;
    await server.tick();
    await server.tick();
    expect(server.asked.length).toBeLessThanOrEqual(2);
    server.answer = {};
    await server.tick();
    expect(await Promise.all(loads)).toEqual(urls.map(() => true));
  });

  test('that is not audio is asked for past the browser cache, given up with a sentence, and tried when told to', async () => {
    const server = new Server();
    server.answer = { '/a': 'not_audio' };
    const loaded = server.loader.want('/a', 'gen_noise');
    for (let i = 0; i < 5; i += 1) await server.tick();
    expect(await loaded).toBe(false);
    expect(server.asked).toEqual(['/a', '/a fresh', '/a fresh']);
    expect(server.said).toEqual([expect.stringMatching(/gen_noise.*not audio/)]);
    expect(await server.loader.want('/a', 'gen_noise'), 'an event in the meantime asks nobody').toBe(false);
    expect(server.asked).toHaveLength(3);
    server.answer = {};
    server.loader.again();
    expect(await server.loader.want('/a', 'gen_noise')).toBe(true);
  });

  test('from another server is asked for once, and told in a sentence', async () => {
    const server = new Server();
    server.answer = { 'https://elsewhere.example/a.wav': 'foreign' };
    expect(await server.loader.want('https://elsewhere.example/a.wav', 'jazz')).toBe(false);
    expect(server.said).toEqual([expect.stringMatching(/^jazz: .*only from its own bridge/)]);
    expect(server.asked).toHaveLength(1);
  });

  test('by nobody any more is not asked for any more', async () => {
    const server = new Server();
    server.answer = { '/a': 'unreachable' };
    const loaded = server.loader.want('/a', 'gen_rain');
    await server.tick();
    server.loader.retain(new Set());
    await server.tick();
    expect(await loaded).toBe(false);
    const asked = server.asked.length;
    for (let i = 0; i < 3; i += 1) await server.tick();
    expect(server.asked).toHaveLength(asked);
  });
});

test('kept sounds are loaded when the page is idle, the newest first, until the memory is full', async () => {
  const loaded: string[] = [];
  const warming = new Warming({
    load: (url) => Promise.resolve(loaded.push(url) < 3),
    idle: () => Promise.resolve(),
  });
  await warming.start(
    [1, 4, 2, 3].map((seq) => sound({ seq, name: `gen_${seq}`, urls: [`/samples/${seq}.wav`, '/samples/take.wav'] })),
  );
  expect(loaded).toEqual(['/samples/4.wav', '/samples/3.wav', '/samples/2.wav']);
});

test('sound that the browser stopped is resumed, and a click is asked for only where it does not help', async () => {
  const said: string[] = [];
  const context = { state: 'suspended', addEventListener: () => undefined };
  let allowed = true;
  const awake = new Awake({
    context: () => context as unknown as AudioContext,
    isPlaying: () => true,
    resume: () => {
      if (allowed) context.state = 'running';
      return Promise.resolve();
    },
    onAsleep: (message) => said.push(message),
    onAwake: () => said.push('awake'),
    wait: () => Promise.resolve(),
  });
  await awake.check();
  expect([context.state, said]).toEqual(['running', []]);

  context.state = 'suspended';
  allowed = false;
  await awake.check();
  await awake.check();
  expect(said).toEqual([expect.stringContaining('Click anywhere')]);
  context.state = 'running';
  await awake.check();
  expect(said.at(-1)).toBe('awake');
});

test('a bridge that was updated under an open page is told once', () => {
  const version = new ServerVersion();
  expect([version.seen('1.0'), version.seen('1.0'), version.seen('')]).toEqual([null, null, null]);
  expect(version.seen('1.1')).toMatch(/1\.1.*continues.*reload/);
  expect(version.seen('1.1')).toBeNull();
});
