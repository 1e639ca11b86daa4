// SPDX-License-Identifier: AGPL-3.0-or-later
/** Decoded audio by address, within a budget. Superdough's own cache keeps everything, failures too, for ever. */
import { LoadFailure } from './failures';

/** What the cache needs to know of an AudioBuffer. */
export interface Decoded {
  /** Seconds. */
  duration: number;
  /** Frames. */
  length: number;
  numberOfChannels: number;
}

export interface BuffersOptions<B extends Decoded> {
  /** Rejects with a LoadFailure. `fresh` goes past the browser's own cache. */
  fetch: (url: string, fresh: boolean) => Promise<ArrayBuffer>;
  decode: (bytes: ArrayBuffer) => Promise<B>;
  budgetBytes: number;
  /** An address can be played now. */
  onLoaded?: (url: string) => void;
}

const BYTES_PER_VALUE = 4;

export class Buffers<B extends Decoded> {
  /** The least recently played first. */
  private readonly decoded = new Map<string, B>();
  /** Given by a program, not by an address: they cannot be fetched again. */
  private readonly given = new Map<string, B>();
  private readonly loading = new Map<string, Promise<B>>();
  private kept: ReadonlySet<string> = new Set();
  private used = 0;
  private budget: number;

  constructor(private readonly options: BuffersOptions<B>) {
    this.budget = options.budgetBytes;
  }

  /** Bytes of decoded audio. */
  get bytes(): number {
    return this.used;
  }

  get budgetBytes(): number {
    return this.budget;
  }

  set budgetBytes(bytes: number) {
    this.budget = bytes;
    this.forget();
  }

  has(url: string): boolean {
    return this.decoded.has(url) || this.given.has(url);
  }

  /** The audio that is to be played now; undefined while it is not here. */
  play(url: string): B | undefined {
    const buffer = this.decoded.get(url);
    if (!buffer) return this.given.get(url);
    this.decoded.delete(url);
    this.decoded.set(url, buffer);
    return buffer;
  }

  /** Fetches and decodes, once for everybody who asks meanwhile. A failure is forgotten: the next call tries again. */
  load(url: string, fresh = false): Promise<B> {
    const here = this.play(url);
    if (here) return Promise.resolve(here);
    let loading = this.loading.get(url);
    if (!loading) {
      loading = this.fetch(url, fresh).finally(() => this.loading.delete(url));
      this.loading.set(url, loading);
    }
    return loading;
  }

  /** Keeps audio that came from nowhere. */
  put(url: string, buffer: B): void {
    this.given.set(url, buffer);
    this.options.onLoaded?.(url);
  }

  /** What the code names is not forgotten, whatever it takes. */
  keep(urls: ReadonlySet<string>): void {
    this.kept = urls;
    this.forget();
  }

  private async fetch(url: string, fresh: boolean): Promise<B> {
    const bytes = await this.options.fetch(url, fresh);
    let buffer: B;
    try {
      buffer = await this.options.decode(bytes);
    } catch {
      throw new LoadFailure('not_audio', `${url} is not audio.`);
    }
    this.decoded.set(url, buffer);
    this.used += size(buffer);
    this.forget(url);
    this.options.onLoaded?.(url);
    return buffer;
  }

  /** Forgets the least recently played audio until the rest fits; `fresh` has not had its chance to be played. */
  private forget(fresh?: string): void {
    for (const [url, buffer] of this.decoded) {
      if (this.used <= this.budget) return;
      if (url === fresh || this.kept.has(url)) continue;
      this.decoded.delete(url);
      this.used -= size(buffer);
    }
  }
}

const size = ({ length, numberOfChannels }: Decoded): number => length * numberOfChannels * BYTES_PER_VALUE;
