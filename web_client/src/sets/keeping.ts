// SPDX-License-Identifier: AGPL-3.0-or-later
import { Database } from './database';
import { MemoryKeeper } from './memory';
import type { Keeper, LocalSet, Moment } from './model';

export const NOTHING_KEPT =
  'This browser keeps nothing for the page (a private window, or no room left): sets and history last until the tab is ' +
  'closed. Save your set to the bridge, or export it.';

/** Keeps sets in the browser as far as it lets us, the rest in memory; says once when it does not. */
export class Keeping implements Keeper {
  private readonly memory = new MemoryKeeper();
  private told = false;

  constructor(
    private readonly browser: Keeper | null,
    private readonly onProblem: (message: string) => void,
  ) {
    if (!browser) this.tell();
  }

  static async open(onProblem: (message: string) => void): Promise<Keeping> {
    return new Keeping(await Database.open().catch(() => null), onProblem);
  }

  async sets(): Promise<LocalSet[]> {
    const found = new Map<string, LocalSet>();
    for (const set of [...(await this.read((browser) => browser.sets(), [])), ...(await this.memory.sets())]) {
      found.set(set.id, set);
    }
    return [...found.values()];
  }

  async get(id: string): Promise<LocalSet | undefined> {
    return (await this.memory.get(id)) ?? (await this.read((browser) => browser.get(id), undefined));
  }

  async put(set: LocalSet, moment?: Moment): Promise<void> {
    try {
      if (!this.browser) throw new Error('there is none');
      await this.browser.put(set, moment);
      if (await this.memory.get(set.id)) await this.memory.put(set);
    } catch {
      await this.memory.put(set, moment);
      this.tell();
    }
  }

  async remove(id: string): Promise<void> {
    await this.memory.remove(id);
    await this.read((browser) => browser.remove(id), undefined);
  }

  async history(id: string): Promise<Moment[]> {
    return [...(await this.memory.history(id)), ...(await this.read((browser) => browser.history(id), []))];
  }

  private async read<T>(ask: (browser: Keeper) => Promise<T>, otherwise: T): Promise<T> {
    try {
      return this.browser ? await ask(this.browser) : otherwise;
    } catch {
      this.tell();
      return otherwise;
    }
  }

  private tell(): void {
    if (!this.told) this.onProblem(NOTHING_KEPT);
    this.told = true;
  }
}
