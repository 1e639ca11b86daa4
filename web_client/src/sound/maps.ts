// SPDX-License-Identifier: AGPL-3.0-or-later
/**
 * `samples(...)` as code calls it. Superdough's own ends the whole evaluation when a map cannot be loaded; here the rest
 * plays, and the address that failed is told. What a map names plays through our sampler, like every other sound.
 */
import { fetchSampleMap, processSampleMap, registerWaveTable, soundMap, type Bank, type SoundEntry } from '@strudel/webaudio';

export interface MapsOptions {
  entry: (bank: Bank, data: Record<string, unknown>) => SoundEntry;
  /** A map could not be loaded: the text of the code that names it, and a sentence. */
  onTrouble: (find: string, message: string) => void;
}

type MapOptions = { prebake?: boolean; tag?: string };
export type LoadMap = (map: unknown, base?: string, options?: MapOptions) => Promise<void>;

/** Why a map is not there, for a player. */
export function mapSentence(address: string, isOwn: boolean): string {
  const why = isOwn
    ? 'The bridge does not answer, or what it answers is not a sample map.'
    : 'This page loads sounds only from its own bridge, so other addresses are refused.';
  return `The samples of ${address} are not loaded, everything else plays. ${why}`;
}

export function mapLoader(options: MapsOptions): LoadMap {
  const register = (map: object, base: string | undefined, { prebake, tag }: MapOptions): void => {
    const added: Record<string, SoundEntry> = {};
    processSampleMap(
      map,
      (key, bank) => {
        const name = key.toLowerCase().replace(/\s+/g, '_');
        const data = { ...(prebake === undefined ? {} : { prebake }), ...(tag === undefined ? {} : { tag }) };
        if (name.startsWith('wt_')) registerWaveTable(key, bank, { baseUrl: base, ...data });
        else added[name] = options.entry(bank, data);
      },
      base,
    );
    soundMap.set({ ...soundMap.get(), ...added });
  };
  return async (map, base, given = {}) => {
    const find = typeof map === 'string' ? map : (base ?? '');
    try {
      if (typeof map === 'string') {
        const [json, own] = await fetchSampleMap(map);
        register(json, base ?? own, given);
      } else {
        register(map as object, base, given);
      }
    } catch {
      options.onTrouble(find, mapSentence(find || 'this map', isOwn(find)));
    }
  };
}

function isOwn(address: string): boolean {
  try {
    return /^(https?:|\/)/.test(address) && new URL(address, location.href).origin === location.origin;
  } catch {
    return false;
  }
}
