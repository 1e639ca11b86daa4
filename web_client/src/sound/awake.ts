// SPDX-License-Identifier: AGPL-3.0-or-later
/** Brings the sound back that a browser stopped: a tab that slept, a machine that was closed, a phone that rang. */

export interface AwakeOptions {
  context: () => AudioContext;
  isPlaying: () => boolean;
  resume: () => Promise<void>;
  /** The sound stopped and the browser wants a click first. */
  onAsleep: (message: string) => void;
  /** It sounds again. */
  onAwake: (message: string) => void;
  /** Milliseconds. */
  wait?: (ms: number) => Promise<void>;
}

export const ASLEEP = 'The browser has stopped the sound of this page. Click anywhere or press a key to continue.';
/** A browser that lets the page sound has resumed it by then. */
const PATIENCE_MS = 500;

export class Awake {
  private asleep = false;
  private trying = false;
  private watching = false;
  private readonly wait: (ms: number) => Promise<void>;

  constructor(private readonly options: AwakeOptions) {
    this.wait = options.wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  }

  /** Looks after the context from now on. Called when something plays: before that there is no context. */
  watch(page: Document): void {
    if (this.watching) return;
    this.watching = true;
    this.options.context().addEventListener('statechange', () => void this.check());
    page.addEventListener('visibilitychange', () => void this.check());
    for (const gesture of ['pointerdown', 'keydown']) {
      page.addEventListener(gesture, () => void this.check(), { capture: true });
    }
  }

  /** Resumes the sound of what plays; says so when the browser does not allow it. */
  async check(): Promise<void> {
    if (this.running) {
      if (this.asleep) this.options.onAwake(ASLEEP);
      this.asleep = false;
      return;
    }
    if (!this.options.isPlaying()) return;
    // Not awaited: a browser that wants a click leaves it pending.
    void this.options.resume();
    if (this.trying) return;
    this.trying = true;
    await this.wait(PATIENCE_MS);
    this.trying = false;
    if (this.running || this.asleep) return;
    this.asleep = true;
    this.options.onAsleep(ASLEEP);
  }

  private get running(): boolean {
    return this.options.context().state === 'running';
  }
}
