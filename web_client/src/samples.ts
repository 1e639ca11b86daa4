// SPDX-License-Identifier: AGPL-3.0-or-later
/** The sounds that the page has: playable and shown; loaded as soon as the code names them. */
import { allUrls, slotUrls, type Sound, type SoundUrls } from './protocol';

/** What samples need of a player. */
export interface SamplePlayer {
  register(sounds: ReadonlyMap<string, SoundUrls>): void;
  unregister(names: Iterable<string>): void;
  placeholder(name: string): void;
  /** Loads an address, however long the bridge is away; false when it has no audio or is not wanted any more. */
  want(url: string, name: string): Promise<boolean>;
  /** What the code needs now. */
  keep(urls: ReadonlySet<string>): void;
}

export interface SamplesOptions {
  /** A sound came, changed, or went (null). */
  onChange?: (name: string, sound: Sound | null) => void;
  /** Everything was replaced. */
  onReset?: (sounds: Sound[]) => void;
}

/** True for names that the bridge makes on demand: they stay silent, not wrong, while it does. */
export const isMakeable = (name: string): boolean => /^(gen|musicgen)_[a-z0-9_]+$/.test(name);

export class Samples {
  private readonly sounds = new Map<string, Sound>();
  /** alias -> name */
  private readonly aliases = new Map<string, string>();
  /** The newest state that is being loaded, by name. */
  private readonly arriving = new Map<string, Sound>();
  /** Names that the code uses, as it writes them. */
  private used: ReadonlySet<string> = new Set();

  constructor(
    private readonly player: SamplePlayer,
    private readonly options: SamplesOptions = {},
  ) {}

  list(): Sound[] {
    return [...this.sounds.values()];
  }

  /** The sound of a name or an alias. */
  find(name: string): Sound | undefined {
    return this.sounds.get(name) ?? this.sounds.get(this.aliases.get(name) ?? '');
  }

  /** Replaces everything. What the code uses is loaded now; the rest when it is first played. */
  reset(sounds: Sound[]): void {
    const before = new Set([...this.sounds.keys(), ...this.aliases.keys()]);
    this.sounds.clear();
    this.aliases.clear();
    this.arriving.clear();
    for (const sound of sounds) this.sounds.set(sound.name, sound);
    const playable = new Map<string, SoundUrls>();
    for (const sound of sounds) for (const name of this.claim(sound)) playable.set(name, sound.urls);
    this.drop([...before].filter((name) => !playable.has(name)));
    this.player.register(playable);
    this.options.onReset?.(sounds);
    void this.load();
  }

  /** From now on the code uses these names. Resolves when all of them that exist are loaded or given up. */
  async use(names: Iterable<string>): Promise<void> {
    this.used = new Set(names);
    await this.load();
  }

  /**
   * Makes a sound playable. One that the code uses has its new slot loaded first: until then the code plays what it has.
   * Of several states of one sound the newest wins.
   */
  async push(sound: Sound): Promise<void> {
    let isAudio = true;
    if (this.uses(sound)) {
      this.arriving.set(sound.name, sound);
      this.keep();
      const slot = slotUrls(sound.urls, sound.n);
      isAudio = (await Promise.all(slot.map((url) => this.player.want(url, sound.name)))).every(Boolean);
      if (this.arriving.get(sound.name) !== sound) return;
    }
    this.arriving.delete(sound.name);
    const before = this.sounds.has(sound.name);
    this.sounds.set(sound.name, sound);
    const names = this.claim(sound);
    // What played before a slot that is not audio plays on.
    if (isAudio || !before) this.player.register(new Map(names.map((name) => [name, sound.urls])));
    this.keep();
    this.options.onChange?.(sound.name, sound);
  }

  remove(name: string): void {
    this.arriving.delete(name);
    if (!this.sounds.delete(name)) return;
    const gone = [name];
    for (const [alias, owner] of this.aliases) if (owner === name) gone.push(alias);
    for (const alias of gone) this.aliases.delete(alias);
    this.drop(gone);
    this.keep();
    this.options.onChange?.(name, null);
  }

  private uses(sound: Sound): boolean {
    return [sound.name, ...sound.aliases].some((name) => this.used.has(name));
  }

  /** Loads every slot of the names that the code uses, so that no event is too early for its sound. */
  private async load(): Promise<void> {
    this.keep();
    const wanted = [...this.used].flatMap((name) => {
      const sound = this.find(name);
      return sound ? allUrls(sound.urls).map((url) => this.player.want(url, name)) : [];
    });
    await Promise.all(wanted);
  }

  private keep(): void {
    const needed = [...this.used].flatMap((name) => this.find(name) ?? []);
    this.player.keep(new Set([...needed, ...this.arriving.values()].flatMap(({ urls }) => allUrls(urls))));
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
}
