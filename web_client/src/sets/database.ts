// SPDX-License-Identifier: AGPL-3.0-or-later
/** Sets in IndexedDB. */
import { MOST_EVALUATIONS, type Keeper, type LocalSet, type Moment } from './model';

const NAME = 'sample-bridge';
const VERSION = 1;
/** A browser that does not answer does not stop the playing. */
const LONGEST_OPEN_MS = 2000;

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'));
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(transaction.error ?? new Error('IndexedDB gave up'));
    transaction.oncomplete = () => resolve();
    transaction.onerror = fail;
    transaction.onabort = fail;
  });
}

export class Database implements Keeper {
  private constructor(private readonly database: IDBDatabase) {
    // A newer page in another tab may change the form; this one continues without.
    database.onversionchange = () => database.close();
  }

  /** Throws where the browser has none for this page: a private window, no room. */
  static async open(): Promise<Database> {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('sets', { keyPath: 'id' });
      request.result.createObjectStore('history', { autoIncrement: true }).createIndex('set', 'set');
    };
    const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error('late')), LONGEST_OPEN_MS));
    return new Database(await Promise.race([done(request), late]));
  }

  sets(): Promise<LocalSet[]> {
    return done(this.database.transaction('sets').objectStore('sets').getAll() as IDBRequest<LocalSet[]>);
  }

  get(id: string): Promise<LocalSet | undefined> {
    return done(this.database.transaction('sets').objectStore('sets').get(id) as IDBRequest<LocalSet | undefined>);
  }

  async put(set: LocalSet, moment?: Moment): Promise<void> {
    try {
      await this.keep(set, moment);
    } catch (error) {
      if ((error as Error).name !== 'QuotaExceededError') throw error;
      await this.makeRoom();
      await this.keep(set, moment);
    }
  }

  async remove(id: string): Promise<void> {
    const transaction = this.database.transaction(['sets', 'history'], 'readwrite');
    const ended = finished(transaction);
    transaction.objectStore('sets').delete(id);
    const history = transaction.objectStore('history');
    for (const key of await done(history.index('set').getAllKeys(id))) history.delete(key);
    await ended;
  }

  async history(id: string): Promise<Moment[]> {
    const index = this.database.transaction('history').objectStore('history').index('set');
    return (await done(index.getAll(id) as IDBRequest<Moment[]>)).reverse();
  }

  private async keep(set: LocalSet, moment?: Moment): Promise<void> {
    const transaction = this.database.transaction(['sets', 'history'], 'readwrite');
    const ended = finished(transaction);
    transaction.objectStore('sets').put(set);
    if (moment) {
      const history = transaction.objectStore('history');
      history.add(moment);
      const index = history.index('set');
      const keys = index.getAllKeys(set.id);
      keys.onsuccess = () => {
        for (const key of keys.result.slice(0, -MOST_EVALUATIONS)) history.delete(key);
      };
    }
    await ended;
  }

  /** Forgets the older half of all evaluations. */
  private async makeRoom(): Promise<void> {
    const transaction = this.database.transaction('history', 'readwrite');
    const ended = finished(transaction);
    const history = transaction.objectStore('history');
    const keys = await done(history.getAllKeys());
    const middle = keys[keys.length >> 1];
    if (middle !== undefined) history.delete(IDBKeyRange.upperBound(middle));
    await ended;
  }
}
