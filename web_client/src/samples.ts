// SPDX-License-Identifier: AGPL-3.0-or-later
/** The sounds that the page has: loaded first, then playable, then shown. */
import { slotUrls, type Sound, type SoundUrls } from './protocol';

/** What samples need of a player. */
export interface SamplePlayer {
  register(sounds: ReadonlyMap<string, SoundUrls>): void;
  unregister(names: Iterable<string>): void;
  placeholder(name: string): void;
  preload(url: string): Promise<void>;
}

export interface SamplesOptions {
  /** A sound came, changed, or went (null). */
  onChange?: (name: string, sound: Sound | null) => void;
  /** Everything was replaced. */
  onReset?: (sounds: Sound[]) => void;
  onProblem?: (message: string) => void;
  /** Waits before another try to load; milliseconds. */
  wait?: (ms: number) => Promise<void>;
}

const TRIES = 3;

/** True for names that the bridge makes on demand: they stay silent, not wrong, while it does. */
export const isMakeable = (name: string): boolean => /^(gen|musicgen)_[a-z0-9_]+$/.test(name);

export class Samples {
  private readonly sounds = new Map<string, Sound>();
  /** alias -> name */
  private readonly aliases = new Map<string, string>();
  /** The newest state that is being loaded, by name. */
  private readonly arriving = new Map<string, Sound>();
  /** Strudel never asks again for an address that failed: what replaces it. */
  private readonly healed = new Map<string, string>();
  private readonly wait: (ms: number) => Promise<void>;

  constructor(
    private readonly player: SamplePlayer,
    private readonly options: SamplesOptions = {},
  ) {
    this.wait = options.wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  }

  list(): Sound[] {
    return [...this.sounds.values()];
  }

  /** The sound of a name or an alias. */
  find(name: string): Sound | undefined {
    return this.sounds.get(name) ?? this.sounds.get(this.aliases.get(name) ?? '');
  }

  /** Replaces everything. Only what `soon` names is loaded now; the rest is loaded when it is first played. */
  reset(sounds: Sound[], soon: ReadonlySet<string> = new Set()): void {
    const before = new Set([...this.sounds.keys(), ...this.aliases.keys()]);
    this.sounds.clear();
    this.aliases.clear();
    this.arriving.clear();
    for (const sound of sounds) this.sounds.set(sound.name, sound);
    const playable = new Map<string, SoundUrls>();
    for (const sound of sounds) for (const name of this.claim(sound)) playable.set(name, this.usable(sound.urls));
    this.drop([...before].filter((name) => !playable.has(name)));
    this.player.register(playable);
    this.options.onReset?.(sounds);
    for (const name of soon) void this.load(name);
  }

  /** Loads the slot that changed, then makes the sound playable. Of several states of one sound the newest wins. */
  async push(sound: Sound): Promise<void> {
    this.arriving.set(sound.name, sound);
    await Promise.all(slotUrls(sound.urls, sound.n).map((url) => this.loadUrl(url, sound.name)));
    if (this.arriving.get(sound.name) !== sound) return;
    this.arriving.delete(sound.name);
    this.sounds.set(sound.name, sound);
    const urls = this.usable(sound.urls);
    this.player.register(new Map(this.claim(sound).map((name) => [name, urls])));
    this.options.onChange?.(sound.name, sound);
  }

  remove(name: string): void {
    this.arriving.delete(name);
    if (!this.sounds.delete(name)) return;
    const gone = [name];
    for (const [alias, owner] of this.aliases) if (owner === name) gone.push(alias);
    for (const alias of gone) this.aliases.delete(alias);
    this.drop(gone);
    this.options.onChange?.(name, null);
  }

  /** Loads every slot of a name, so that its first event is not too early for it. */
  async load(name: string): Promise<void> {
    const sound = this.find(name);
    if (!sound) return;
    const count = Array.isArray(sound.urls) ? sound.urls.length : 1;
    for (let n = 0; n < count; n += 1) {
      await Promise.all(slotUrls(sound.urls, n).map((url) => this.loadUrl(url, name)));
    }
  }

  /** The name itself and those of its aliases which no other sound has as its name. */
  private claim(sound: Sound): string[] {
    const free = sound.aliases.filter((alias) => !this.sounds.has(alias));
    for (const alias of free) this.aliases.set(alias, sound.name);
    return [sound.name, ...free];
  }

  private drop(names: string[]): void {
    this.player.unregister(names);
    for (const name of names) if (isMakeable(name)) this.player.placeholder(name);
  }

  private usable(urls: SoundUrls): SoundUrls {
    const one = (url: string): string => this.healed.get(url) ?? url;
    if (Array.isArray(urls)) return urls.map(one);
    return Object.fromEntries(
      Object.entries(urls).map(([note, entry]) => [note, Array.isArray(entry) ? entry.map(one) : one(entry)]),
    );
  }

  private async loadUrl(url: string, name: string): Promise<void> {
    for (let again = 0; again < TRIES; again += 1) {
      try {
        await this.player.preload(this.healed.get(url) ?? url);
        return;
      } catch {
        this.healed.set(url, `${url}${url.includes('?') ? '&' : '?'}again=${again + 1}`);
        if (again + 1 < TRIES) await this.wait(300 * (again + 1));
      }
    }
    this.options.onProblem?.(`A sample of ${name} could not be loaded. Reload the page to try again.`);
  }
}
