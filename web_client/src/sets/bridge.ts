// SPDX-License-Identifier: AGPL-3.0-or-later
/** Sets on the bridge (docs/http-api.md#sets). */
import { change, type Ask, type Changed } from '../confirm';
import { lines } from './model';

export interface Head {
  id: string;
  name: string;
  version: number;
  /** Unix milliseconds. */
  saved: number;
  deleted: boolean;
}

export interface Version {
  version: number;
  name: string;
  saved: number;
}

export interface Kept extends Head {
  code: string;
  damaged: boolean;
  versions: Version[];
}

/** What somebody else saved meanwhile; null where the disk has damaged it. */
export type Theirs = { version: number; name: string; code: string } | null;

export type SaveAnswer = { kept: Kept } | { theirs: Theirs; why: string } | { why: string; code: string };

export interface SetsBridge {
  list(): Promise<Head[]>;
  get(id: string): Promise<Kept>;
  version(id: string, number: number): Promise<string>;
  save(id: string, name: string, code: string, base: number): Promise<SaveAnswer>;
  remove(id: string): Promise<Changed>;
  restore(id: string): Promise<Changed>;
}

/** A bridge that hangs does not block the sets of this browser. */
const LONGEST_ANSWER_MS = 5000;
const AWAY = 'The bridge does not answer. Your set is kept in this browser.';

interface RawVersion {
  version: number;
  name: string;
  saved: string;
}

interface Raw extends RawVersion {
  id: string;
  deleted_until: string | null;
  damaged: boolean;
  code: string;
  versions: RawVersion[];
}

interface Refusal {
  code: string;
  message: string;
  current?: Theirs;
}

const headOf = (raw: Raw): Head => ({
  id: raw.id,
  name: raw.name,
  version: raw.version,
  saved: Date.parse(raw.saved),
  deleted: raw.deleted_until !== null,
});

function keptOf(raw: Raw): Kept {
  const versions = raw.versions.map(({ version, name, saved }) => ({ version, name, saved: Date.parse(saved) }));
  return { ...headOf(raw), code: lines(raw.code), damaged: raw.damaged, versions };
}

/** Throws a sentence when the bridge is away or refuses. */
async function read<T>(path: string): Promise<T> {
  const { document, refusal } = await send(path);
  if (refusal) throw new Error(refusal.message);
  return document as T;
}

async function send(path: string, body?: unknown): Promise<{ document: unknown; refusal: Refusal | null }> {
  try {
    const headers = { 'Content-Type': 'application/json' };
    const how = body === undefined ? {} : { method: 'PUT', headers, body: JSON.stringify(body) };
    const response = await fetch(path, { ...how, signal: AbortSignal.timeout(LONGEST_ANSWER_MS) });
    const document = (await response.json()) as { error?: Refusal };
    if (response.ok) return { document, refusal: null };
    return { document, refusal: document.error ?? { code: 'internal', message: AWAY } };
  } catch {
    return { document: null, refusal: { code: 'offline', message: AWAY } };
  }
}

export const httpSets = (ask: Ask): SetsBridge => ({
  list: async () => (await read<{ sets: Raw[] }>('/sets')).sets.map(headOf),
  get: async (id) => keptOf(await read<Raw>(`/sets/${id}`)),
  version: async (id, number) => lines((await read<Raw>(`/sets/${id}/versions/${number}`)).code),
  save: async (id, name, code, base) => {
    const { document, refusal } = await send(`/sets/${id}`, { name, code, base });
    if (!refusal) return { kept: keptOf(document as Raw) };
    if (refusal.code !== 'set_changed') return { why: refusal.message, code: refusal.code };
    return { theirs: refusal.current ?? null, why: refusal.message };
  },
  remove: (id) => change('DELETE', `/sets/${id}`, undefined, ask),
  restore: (id) => change('PATCH', `/sets/${id}`, { deleted: false }, ask),
});
