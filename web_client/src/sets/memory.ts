// SPDX-License-Identifier: AGPL-3.0-or-later
import { MOST_EVALUATIONS, type Keeper, type LocalSet, type Moment } from './model';

/** Keeps sets as long as the tab is open: where the browser lets the page keep nothing. */
export class MemoryKeeper implements Keeper {
  private readonly kept = new Map<string, LocalSet>();
  private readonly moments = new Map<string, Moment[]>();

  sets(): Promise<LocalSet[]> {
    return Promise.resolve([...this.kept.values()]);
  }

  get(id: string): Promise<LocalSet | undefined> {
    return Promise.resolve(this.kept.get(id));
  }

  put(set: LocalSet, moment?: Moment): Promise<void> {
    this.kept.set(set.id, set);
    if (moment) this.moments.set(set.id, [moment, ...(this.moments.get(set.id) ?? [])].slice(0, MOST_EVALUATIONS));
    return Promise.resolve();
  }

  remove(id: string): Promise<void> {
    this.kept.delete(id);
    this.moments.delete(id);
    return Promise.resolve();
  }

  history(id: string): Promise<Moment[]> {
    return Promise.resolve(this.moments.get(id) ?? []);
  }
}
