// SPDX-License-Identifier: AGPL-3.0-or-later
/** The outline of a sample, for drawing: a few hundred bytes that the server has measured. */
import { fetchBytes, LoadFailure } from './sound/failures';

export const BINS = 72;
const AT_ONCE = 4;

/** The largest absolute value in each of `bins` parts, 0..1, of pairs of signed bytes (lowest, highest). */
export function outline(pairs: Int8Array, bins = BINS): Float32Array {
  const peaks = new Float32Array(bins);
  pairs.forEach((value, i) => {
    const bin = Math.floor((i * bins) / pairs.length);
    peaks[bin] = Math.max(peaks[bin] ?? 0, Math.abs(value) / 128);
  });
  return peaks;
}

/** Where the outline of a sample is: next to its file. */
export const peaksUrl = (url: string): string => url.replace(/(\.24)?\.\w+(?=$|\?)/, '.peaks');

export class Outlines {
  private readonly known = new Map<string, Promise<Float32Array>>();
  private readonly queue: (() => void)[] = [];
  private running = 0;
  private back: () => void = () => undefined;
  private away: Promise<void> | null = null;

  constructor(private readonly fetch: (url: string) => Promise<ArrayBuffer> = fetchBytes) {}

  /** Fetches the outline of one sample, few at a time. While the bridge is away it waits; it rejects when there is none. */
  load(url: string): Promise<Float32Array> {
    const before = this.known.get(url);
    if (before) return before;
    const outlined = this.ask(peaksUrl(url));
    this.known.set(url, outlined);
    outlined.catch(() => this.known.delete(url));
    return outlined;
  }

  /** The bridge is back. */
  again(): void {
    this.away = null;
    this.back();
  }

  private async ask(url: string): Promise<Float32Array> {
    for (;;) {
      try {
        return outline(new Int8Array(await this.turn(() => this.fetch(url))));
      } catch (reason) {
        if (!(reason instanceof LoadFailure) || reason.kind !== 'unreachable') throw reason;
        this.away ??= new Promise((resolve) => (this.back = resolve));
        await this.away;
      }
    }
  }

  private async turn<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= AT_ONCE) await new Promise<void>((resolve) => this.queue.push(resolve));
    this.running += 1;
    try {
      return await work();
    } finally {
      this.running -= 1;
      this.queue.shift()?.();
    }
  }
}
