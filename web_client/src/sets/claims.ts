// SPDX-License-Identifier: AGPL-3.0-or-later
/** Which tab has which set: two tabs never write into one. */

/** A page that is reloaded lets go a moment after the new one begins. */
const LONGEST_WAIT_MS = 500;
const LONGEST_ANSWER_MS = 150;
const lockOf = (id: string): string => `sample-bridge.set.${id}`;

export interface Claims {
  /** True when this tab has the set from now on. `patient`: waits for a page that is just going. */
  claim(id: string, patient: boolean): Promise<boolean>;
  release(id: string): void;
}

/** By the browser's locks: a tab that hangs holds its set too, one that was closed does not. */
export class LockClaims implements Claims {
  private readonly held = new Map<string, () => void>();

  constructor(private readonly locks: LockManager = navigator.locks) {}

  claim(id: string, patient: boolean): Promise<boolean> {
    if (this.held.has(id)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const options = patient ? { signal: AbortSignal.timeout(LONGEST_WAIT_MS) } : { ifAvailable: true };
      this.locks
        .request(lockOf(id), options, (lock) => {
          resolve(lock !== null);
          return lock === null ? undefined : new Promise<void>((letGo) => this.held.set(id, letGo));
        })
        .catch(() => resolve(false));
    });
  }

  release(id: string): void {
    this.held.get(id)?.();
    this.held.delete(id);
  }
}

/** By asking the other tabs: over plain http from another machine a browser has no locks. */
export class AskingClaims implements Claims {
  private readonly held = new Set<string>();
  private readonly channel = new BroadcastChannel('sample-bridge.sets');

  constructor() {
    this.channel.addEventListener('message', ({ data }: MessageEvent<{ ask?: string; held?: string }>) => {
      if (data.ask && this.held.has(data.ask)) this.channel.postMessage({ held: data.ask });
    });
  }

  async claim(id: string): Promise<boolean> {
    if (this.held.has(id)) return true;
    const taken = await new Promise<boolean>((resolve) => {
      const hear = ({ data }: MessageEvent<{ held?: string }>): void => {
        if (data.held === id) end(true);
      };
      const end = (answer: boolean): void => {
        this.channel.removeEventListener('message', hear);
        resolve(answer);
      };
      this.channel.addEventListener('message', hear);
      this.channel.postMessage({ ask: id });
      setTimeout(() => end(false), LONGEST_ANSWER_MS);
    });
    if (!taken) this.held.add(id);
    return !taken;
  }

  release(id: string): void {
    this.held.delete(id);
  }
}

export function openClaims(): Claims {
  return (navigator as Partial<Navigator>).locks ? new LockClaims() : new AskingClaims();
}
