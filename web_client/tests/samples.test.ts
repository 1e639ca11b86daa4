// SPDX-License-Identifier: AGPL-3.0-or-later
import { describe, expect, test } from 'vitest';
import type { SoundUrls } from '../src/protocol';
import { Samples, type SamplePlayer, type SamplesOptions } from '../src/samples';
import { sound } from './golden';

/** A player that writes down what is done to it. Loads wait for `finish`; addresses in `broken` have no audio. */
class Recorder implements SamplePlayer {
  readonly log: string[] = [];
  readonly playable = new Map<string, SoundUrls | 'silent'>();
  readonly broken = new Set<string>();
  kept: string[] = [];
  private readonly loading = new Map<string, () => void>();

  constructor(private readonly slow = false) {}

  register(sounds: ReadonlyMap<string, SoundUrls>): void {
    for (const [name, urls] of sounds) {
      this.log.push(`register ${name}`);
      this.playable.set(name, urls);
    }
  }
  unregister(names: Iterable<string>): void {
    for (const name of names) this.playable.delete(name);
  }
  placeholder(name: string): void {
    this.playable.set(name, 'silent');
  }
  async want(url: string): Promise<boolean> {
    this.log.push(`load ${url}`);
    if (this.slow) await new Promise<void>((resolve) => this.loading.set(url, resolve));
    return !this.broken.has(url);
  }
  keep(urls: ReadonlySet<string>): void {
    this.kept = [...urls];
  }
  finish(url: string): void {
    this.loading.get(url)?.();
  }
}

const at = (...urls: string[]): string[] => urls.map((url) => `/samples/${url}.wav`);
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function made(slow = false, options: SamplesOptions = {}): { player: Recorder; samples: Samples } {
  const player = new Recorder(slow);
  return { player, samples: new Samples(player, options) };
}

describe('a pushed sound', () => {
  test('that the code does not name is playable and shown, and nothing of it is loaded', async () => {
    const { player, samples } = made(false, { onChange: (name) => player.log.push(`show ${name}`) });
    await samples.use(['gen_hat']);
    await samples.push(sound({ name: 'gen_kick', aliases: ['bd'], n: 1, urls: at('a', 'b') }));
    expect(player.log).toEqual(['register gen_kick', 'register bd', 'show gen_kick']);
    expect(player.kept).toEqual([]);
  });

  test('is loaded where the code names it or an alias, then registered with all its slots and names, then shown', async () => {
    const { player, samples } = made(false, { onChange: (name) => player.log.push(`show ${name}`) });
    await samples.use(['bd']);
    await samples.push(sound({ name: 'gen_kick', aliases: ['bd'], n: 1, urls: at('a', 'b') }));
    expect(player.log).toEqual(['load /samples/b.wav', 'register gen_kick', 'register bd', 'show gen_kick']);
    expect(player.playable.get('bd')).toEqual(at('a', 'b'));
    expect(samples.find('bd')?.name).toBe('gen_kick');
  });

  test('stays as it is until its better sample is loaded', async () => {
    const { player, samples } = made(true);
    void samples.use(['gen_pad']);
    samples.reset([sound({ name: 'gen_pad', urls: at('standin'), standin: true })]);
    const arriving = samples.push(sound({ name: 'gen_pad', urls: at('wanted'), n: 0 }));
    expect(player.playable.get('gen_pad')).toEqual(at('standin'));
    player.finish('/samples/wanted.wav');
    await arriving;
    expect(player.playable.get('gen_pad')).toEqual(at('wanted'));
  });

  test('of two states that load at once the newer wins, whichever is loaded first', async () => {
    const { player, samples } = made(true);
    void samples.use(['gen_pad']);
    const older = samples.push(sound({ name: 'gen_pad', n: 0, urls: at('one') }));
    const newer = samples.push(sound({ name: 'gen_pad', n: 1, urls: at('one', 'two') }));
    player.finish('/samples/two.wav');
    await newer;
    player.finish('/samples/one.wav');
    await older;
    expect(player.playable.get('gen_pad')).toEqual(at('one', 'two'));
  });

  test('with roots loads every root', async () => {
    const { player, samples } = made();
    await samples.use(['gen_piano']);
    await samples.push(sound({ name: 'gen_piano', aliases: [], n: 0, urls: { c3: '/samples/c.wav', g3: '/samples/g.wav' } }));
    expect(player.log).toEqual(['load /samples/c.wav', 'load /samples/g.wav', 'register gen_piano']);
  });

  test('that was removed while it loaded stays away', async () => {
    const { player, samples } = made(true);
    void samples.use(['gen_pad']);
    const arriving = samples.push(sound({ name: 'gen_pad', n: 0, urls: at('a') }));
    samples.remove('gen_pad');
    player.finish('/samples/a.wav');
    await arriving;
    expect(player.playable.has('gen_pad')).toBe(false);
    expect(samples.list()).toEqual([]);
  });
});

test('a new slot that is not audio leaves the code with what it plays', async () => {
  const { player, samples } = made();
  await samples.use(['gen_pad']);
  samples.reset([sound({ name: 'gen_pad', urls: at('a') })]);
  player.broken.add('/samples/b.wav');
  await samples.push(sound({ name: 'gen_pad', n: 1, urls: at('a', 'b') }));
  expect(player.playable.get('gen_pad')).toEqual(at('a'));
  expect(samples.find('gen_pad')?.urls).toEqual(at('a', 'b'));
});

test('what the code names is kept, every slot of it and what is on its way', async () => {
  const { player, samples } = made(true);
  samples.reset([sound({ name: 'gen_pad', aliases: ['pad'], urls: at('a') }), sound({ name: 'gen_hat', aliases: [], urls: at('h') })]);
  void samples.use(['pad']);
  expect(player.kept).toEqual(at('a'));
  void samples.push(sound({ name: 'gen_pad', aliases: ['pad'], n: 1, urls: at('a', 'b') }));
  expect(player.kept).toEqual(at('a', 'b'));
  void samples.use(['gen_hat']);
  expect(player.kept).toContain('/samples/h.wav');
});

describe('everything anew', () => {
  test('registers all, loads only what is named, and forgets the rest', async () => {
    const { player, samples } = made();
    samples.reset([sound({ name: 'gen_old', aliases: ['cp'], urls: at('old') })]);
    await samples.use(['bd']);
    samples.reset([
      sound({ name: 'gen_kick', aliases: ['bd', 'musicgen_kick'], urls: at('k0', 'k1') }),
      sound({ name: 'gen_hat', aliases: [], urls: at('h') }),
    ]);
    await settle();
    expect(player.log.filter((line) => line.startsWith('load'))).toEqual(['load /samples/k0.wav', 'load /samples/k1.wav']);
    expect([...player.playable.keys()].sort()).toEqual(['bd', 'gen_hat', 'gen_kick', 'gen_old', 'musicgen_kick']);
    expect(player.playable.get('gen_old')).toBe('silent');
    expect(player.playable.has('cp')).toBe(false);
  });

  test('an alias never takes the name of another sound', async () => {
    const { player, samples } = made();
    samples.reset([
      sound({ name: 'gen_a', aliases: ['musicgen_voice_1'], urls: at('a') }),
      sound({ name: 'musicgen_voice_1', aliases: [], urls: at('v') }),
    ]);
    expect(player.playable.get('musicgen_voice_1')).toEqual(at('v'));
    await samples.push(sound({ name: 'gen_a', aliases: ['musicgen_voice_1'], n: 0, urls: at('a2') }));
    expect(player.playable.get('musicgen_voice_1')).toEqual(at('v'));
  });
});

test('a removed sound takes its aliases with it, and its pattern goes silent without errors', () => {
  const { player, samples } = made();
  samples.reset([sound({ name: 'gen_kick', aliases: ['bd'], urls: at('k') })]);
  samples.remove('gen_kick');
  expect(player.playable.get('gen_kick')).toBe('silent');
  expect(player.playable.has('bd')).toBe(false);
  expect(samples.find('bd')).toBeUndefined();
});
