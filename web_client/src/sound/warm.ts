// SPDX-License-Identifier: AGPL-3.0-or-later
/** Loads kept sounds while nothing else is to be done, so that a name that is written next is there at once. */
import { slotUrls, type Sound } from '../protocol';

export interface WarmingOptions {
  /** Loads an address; false when the memory for this is full. Rejects when it cannot be loaded. */
  load: (url: string) => Promise<boolean>;
  /** Resolves when the page has nothing to do. */
  idle: () => Promise<void>;
}

export class Warming {
  /** Counts lists: an older one is not gone on with. */
  private round = 0;

  constructor(private readonly options: WarmingOptions) {}

  /** Loads what a plain name plays of these sounds, the newest first, one at a time, until the memory is full. */
  async start(sounds: readonly Sound[]): Promise<void> {
    const round = (this.round += 1);
    for (const { urls } of [...sounds].sort((a, b) => b.seq - a.seq)) {
      for (const url of slotUrls(urls, 0)) {
        await this.options.idle();
        if (round !== this.round) return;
        try {
          if (!(await this.options.load(url))) return;
        } catch {
          return; // The bridge is away, or this is not audio: whoever plays it is told.
        }
      }
    }
  }
}
