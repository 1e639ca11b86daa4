// SPDX-License-Identifier: AGPL-3.0-or-later
/** Loads what is wanted, and keeps trying while the bridge is away. */
import { failureSentence, LoadFailure } from './failures';

export interface LoaderOptions {
  /** Loads one address; `fresh` goes past the browser's own cache. Rejects with a LoadFailure. */
  load: (url: string, fresh: boolean) => Promise<unknown>;
  onProblem?: (message: string, name: string) => void;
  /** What was said is not true any more. */
  onHealed?: (message: string, name: string) => void;
  /** Milliseconds. */
  wait?: (ms: number) => Promise<void>;
}

interface Wish {
  name: string;
  done: Promise<boolean>;
  /** Ends the pause before the next try. */
  wake: () => void;
}

/** Tries of an address that answers, but not with audio. */
const TRIES = 3;
const PAUSE_MS = 300;

export class Loader {
  private readonly wishes = new Map<string, Wish>();
  /** Addresses that answered with something else, and what was said of them: asked again when `again` is called. */
  private readonly refused = new Map<string, string>();
  /** Those that wait for the bridge, the longest first. One of them asks for all. */
  private readonly away = new Set<string>();
  private readonly said = new Set<string>();
  private readonly wait: (ms: number) => Promise<void>;
  private probing = false;

  constructor(private readonly options: LoaderOptions) {
    this.wait = options.wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  }

  /** Resolves when the address is loaded (true), or is given up because it has no audio or is not wanted any more (false). */
  want(url: string, name: string): Promise<boolean> {
    if (this.refused.has(url)) return Promise.resolve(false);
    const before = this.wishes.get(url);
    if (before) return before.done;
    const wish: Wish = { name, done: Promise.resolve(false), wake: () => undefined };
    this.wishes.set(url, wish);
    wish.done = this.run(url, wish);
    return wish.done;
  }

  /** Only these addresses are still waited for. */
  retain(urls: ReadonlySet<string>): void {
    for (const [url, wish] of this.wishes) {
      if (urls.has(url)) continue;
      this.wishes.delete(url);
      this.away.delete(url);
      wish.wake();
    }
  }

  /** The bridge is back, or the player asks once more: everything is tried at once. */
  again(): void {
    for (const sentence of this.refused.values()) this.said.delete(sentence);
    this.refused.clear();
    for (const wish of this.wishes.values()) wish.wake();
  }

  private async run(url: string, wish: Wish): Promise<boolean> {
    let fresh = false;
    for (let tries = 1; this.wishes.get(url) === wish; tries += 1) {
      try {
        await this.options.load(url, fresh);
        this.loaded(url, wish);
        return true;
      } catch (reason) {
        if (this.wishes.get(url) !== wish) break;
        const unreachable = !(reason instanceof LoadFailure) || reason.kind === 'unreachable';
        if (!unreachable && (tries >= TRIES || reason.kind === 'foreign')) {
          this.refused.set(url, failureSentence(wish.name, reason));
          this.wishes.delete(url);
          this.away.delete(url);
          this.say(failureSentence(wish.name, reason), wish.name);
          break;
        }
        if (unreachable) {
          tries = 0;
          this.say(failureSentence(wish.name, reason), wish.name);
          await this.pause(url, wish);
        } else {
          fresh = true;
          await this.wait(PAUSE_MS * tries);
        }
      }
    }
    return false;
  }

  private loaded(url: string, wish: Wish): void {
    this.wishes.delete(url);
    this.away.delete(url);
    const sentence = failureSentence(wish.name, null);
    if (this.said.delete(sentence)) this.options.onHealed?.(sentence, wish.name);
    // One came through, so the others will.
    for (const other of this.away) this.wishes.get(other)?.wake();
  }

  private async pause(url: string, wish: Wish): Promise<void> {
    this.away.add(url);
    const woken = new Promise<void>((resolve) => (wish.wake = resolve));
    void this.probe();
    await woken;
  }

  private async probe(): Promise<void> {
    if (this.probing) return;
    this.probing = true;
    while (this.away.size > 0) {
      await this.wait(PAUSE_MS);
      const first = this.away.values().next();
      if (first.done) break;
      this.away.delete(first.value);
      this.wishes.get(first.value)?.wake();
    }
    this.probing = false;
  }

  private say(sentence: string, name: string): void {
    if (this.said.has(sentence)) return;
    this.said.add(sentence);
    this.options.onProblem?.(sentence, name);
  }
}
