// SPDX-License-Identifier: AGPL-3.0-or-later
/** Events whose sound is not here yet. */
import type { Onset } from './late';

/** An event, with the name of its sound (lower case, with its bank) and its tempo in cycles per second. */
export interface WaitingEvent extends Onset {
  name: string;
  cps: number | undefined;
}

/** Of one name the newest this many wait: a chord fits, a roll that was silent does not come as a heap. */
const MOST_PER_NAME = 8;
/** Seconds after which an event is not missed any more. */
const LONGEST_WAIT_S = 120;

export class WaitingEvents {
  private readonly byName = new Map<string, WaitingEvent[]>();

  add(event: WaitingEvent): void {
    const others = (this.byName.get(event.name) ?? []).filter(({ time }) => time > event.time - LONGEST_WAIT_S);
    this.byName.set(event.name, [...others, event].slice(-MOST_PER_NAME));
  }

  names(): string[] {
    return [...this.byName.keys()];
  }

  /** Offers every waiting event of a name; what is taken waits no longer. */
  offer(name: string, take: (event: WaitingEvent) => boolean): void {
    const left = (this.byName.get(name) ?? []).filter((event) => !take(event));
    if (left.length > 0) this.byName.set(name, left);
    else this.byName.delete(name);
  }

  /** Only these names still play. */
  retain(names: ReadonlySet<string>): void {
    for (const name of this.names()) if (!names.has(name)) this.byName.delete(name);
  }

  clear(): void {
    this.byName.clear();
  }
}
