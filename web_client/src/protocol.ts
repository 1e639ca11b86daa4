// SPDX-License-Identifier: AGPL-3.0-or-later
/**
 * Every message between the page and the bridge: its type, and a function that reads it.
 *
 * A reading function never throws: what does not have the shape is `null`, unknown fields are ignored, and an optional
 * field of a wrong type counts as absent. The same messages lie as golden JSON files in `tests/protocol/`.
 */

/** What the server is and why it chose its engine. */
export interface ServerInfo {
  version: string;
  engine: string;
  device: string;
  /** A sentence for the player. */
  why: string;
}

/** Either one address a slot, in the order of the slots, or addresses by root note (`{"c3": url}`). */
export type SoundUrls = string[] | Record<string, string | string[]>;

/** A playable name has a new sample, or a better one in an old slot. */
export interface Sound {
  /** Number of the event that brought it; 0 in a list that carries no numbers. */
  seq: number;
  name: string;
  /** Other names under which it plays. */
  aliases: string[];
  /** The slot that changed. */
  n: number;
  /** True while slot `n` shows a sample that only stands in for the wanted one. */
  standin: boolean;
  revision: number;
  urls: SoundUrls;
  kind: string;
  /** Beats per minute. */
  bpm: number | null;
  bars: number | null;
  beats: number | null;
  key: string | null;
  /** Root note, such as "c3". */
  root: string | null;
  seconds: number | null;
  prompt: string;
  engine: string;
  model: string | null;
  licence: string;
  commercial: boolean;
  flags: string[];
  session: string | null;
  /** Code to paste. */
  strudel: string;
}

export interface SoundRemoved {
  seq: number;
  name: string;
}

export interface WireError {
  /** Stable, for programs. */
  code: string;
  /** A sentence for the player. */
  message: string;
  /** Names that were probably meant. */
  nearest?: string[];
}

export const JOB_STATES = ['queued', 'running', 'completed', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** The making of one sound. Numbered (`seq`) only when it has ended. */
export interface Job {
  seq: number | null;
  job_id: string;
  name: string;
  /** The slot it is made for, when that is known already. */
  n: number | null;
  state: JobState;
  /** 0..1 */
  progress: number;
  /** Seconds still to wait. */
  eta_s: number | null;
  error: WireError | null;
  session: string | null;
}

/** True for a state that a job never leaves. */
export const hasEnded = (state: JobState): boolean => state !== 'queued' && state !== 'running';

export interface Head {
  epoch: string;
  head: number;
}

export interface HelloRequest {
  epoch?: string;
  /** The last number that was seen without a gap. */
  since?: number;
  session?: string;
  token?: string;
}

/** One numbered message. `value` is null when its number could be read but nothing else. */
export type NumberedEvent =
  | { seq: number; type: 'sound'; value: Sound | null }
  | { seq: number; type: 'sound_removed'; value: SoundRemoved | null }
  | { seq: number; type: 'job'; value: Job | null }
  | { seq: number; type: 'unknown'; value: null };

export type HelloReply = Head & { server: ServerInfo } & (
    | { reset: true; sounds: Sound[] }
    | { reset: false; events: NumberedEvent[] }
  );

/** What the page asks for: a few fields of a spec. The server knows the ranges and answers with a sentence. */
export interface GenerateRequest {
  prompt: string;
  kind?: string;
  bpm?: number;
  /** Tempo of the pattern in which a name turned up: for what has a tempo, where the words say none. */
  hint_bpm?: number;
  key?: string;
  bars?: number;
  duration?: number;
  name?: string;
  session?: string;
  variations?: number;
  /** A new sound, also where these words were answered before. */
  fresh?: boolean;
  /** false: not when the name looks like a typing error of a kept one. */
  make?: boolean;
}

export interface GenerateReply {
  job_id: string;
  name: string;
  n: number | null;
  state: JobState;
  standin_url: string | null;
  /** The name looks like a typing error of these. */
  nearest?: string[];
}

/** What the players of one session share. */
export interface Session {
  session: string;
  bpm: number | null;
  key: string | null;
}

type Fields = Record<string, unknown>;

const fields = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const number = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const count = (value: unknown): number | null => {
  const read = number(value);
  return read !== null && Number.isInteger(read) && read >= 0 ? read : null;
};
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];

// Names become keys of objects and words of code: nothing but what a sound's name may hold.
const name = (value: unknown): string | null => {
  const read = text(value);
  return read !== null && /^[a-z0-9_]{1,80}$/.test(read) && read !== '__proto__' ? read : null;
};
const names = (value: unknown): string[] => texts(value).filter((each) => name(each) !== null);

// Only addresses on this server: a push must not be able to make the page fetch elsewhere.
const address = (value: unknown): string | null => {
  const read = text(value);
  return read !== null && /^\/(?![/\\])[^\\\s#]*$/.test(read) ? read : null;
};

function soundUrls(value: unknown): SoundUrls | null {
  if (Array.isArray(value)) {
    const urls = value.map(address);
    return urls.length > 0 && urls.every((url) => url !== null) ? urls : null;
  }
  const notes = fields(value);
  if (!notes) return null;
  const byNote: Record<string, string | string[]> = {};
  for (const [note, entry] of Object.entries(notes)) {
    if (!/^[a-g][#bsf]?-?\d{1,2}$/i.test(note)) return null;
    const urls = (Array.isArray(entry) ? entry : [entry]).map(address);
    if (urls.length === 0 || !urls.every((url) => url !== null)) return null;
    byNote[note] = Array.isArray(entry) ? urls : (urls[0] as string);
  }
  return Object.keys(byNote).length > 0 ? byNote : null;
}

export function parseSound(value: unknown): Sound | null {
  const from = fields(value);
  const called = name(from?.name);
  const urls = soundUrls(from?.urls);
  if (!from || called === null || urls === null) return null;
  return {
    seq: count(from.seq) ?? 0,
    name: called,
    aliases: texts(from.aliases).filter((alias) => name(alias) !== null),
    n: count(from.n) ?? 0,
    standin: from.standin === true,
    revision: count(from.revision) ?? 0,
    urls,
    kind: text(from.kind) ?? '',
    bpm: number(from.bpm),
    bars: number(from.bars),
    beats: number(from.beats),
    key: text(from.key),
    root: text(from.root),
    seconds: number(from.seconds),
    prompt: text(from.prompt) ?? '',
    engine: text(from.engine) ?? '',
    model: text(from.model),
    licence: text(from.licence) ?? '',
    commercial: from.commercial === true,
    flags: texts(from.flags),
    session: text(from.session),
    strudel: text(from.strudel) ?? `s("${called}")`,
  };
}

export function parseSoundRemoved(value: unknown): SoundRemoved | null {
  const from = fields(value);
  const called = name(from?.name);
  return called === null ? null : { seq: count(from?.seq) ?? 0, name: called };
}

export function parseError(value: unknown): WireError | null {
  const from = fields(value);
  if (!from) return null;
  const code = text(from.code);
  const message = text(from.message);
  if (code === null && message === null) return null;
  const nearest = names(from.nearest);
  return { code: code ?? 'unknown', message: message ?? 'It failed.', ...(nearest.length > 0 ? { nearest } : {}) };
}

const jobState = (value: unknown): JobState | null => JOB_STATES.find((state) => state === value) ?? null;

export function parseJob(value: unknown): Job | null {
  const from = fields(value);
  const id = text(from?.job_id);
  const state = jobState(from?.state);
  if (!from || id === null || state === null) return null;
  return {
    seq: count(from.seq),
    job_id: id,
    name: text(from.name) ?? '',
    n: count(from.n),
    state,
    progress: Math.min(1, Math.max(0, number(from.progress) ?? 0)),
    eta_s: number(from.eta_s),
    error: parseError(from.error),
    session: text(from.session),
  };
}

export function parseHead(value: unknown): Head | null {
  const from = fields(value);
  const epoch = text(from?.epoch);
  const head = count(from?.head);
  return epoch === null || head === null ? null : { epoch, head };
}

export function parseServer(value: unknown): ServerInfo {
  const from = fields(value) ?? {};
  return {
    version: text(from.version) ?? '',
    engine: text(from.engine) ?? '',
    device: text(from.device) ?? '',
    why: text(from.why) ?? '',
  };
}

/** Reads a numbered message by its type; null when it has no number. */
export function parseNumbered(type: unknown, value: unknown): NumberedEvent | null {
  const seq = count(fields(value)?.seq);
  if (seq === null) return null;
  switch (type) {
    case 'sound':
      return { seq, type, value: parseSound(value) };
    case 'sound_removed':
      return { seq, type, value: parseSoundRemoved(value) };
    case 'job':
      return { seq, type, value: parseJob(value) };
    default:
      return { seq, type: 'unknown', value: null };
  }
}

export function parseHelloReply(value: unknown): HelloReply | null {
  const from = fields(value);
  const head = parseHead(value);
  if (!from || !head) return null;
  const server = parseServer(from.server);
  if (from.reset === true) {
    if (!Array.isArray(from.sounds)) return null;
    return { ...head, server, reset: true, sounds: from.sounds.map(parseSound).filter((sound) => sound !== null) };
  }
  if (!Array.isArray(from.events)) return null;
  const events = from.events.map((event) => parseNumbered(fields(event)?.type, event)).filter((event) => event !== null);
  return { ...head, server, reset: false, events };
}

/** The error of an answer of the shape `{"error": {...}}`; null when the answer carries none. */
export const parseErrorReply = (value: unknown): WireError | null => parseError(fields(value)?.error);

export function parseGenerateReply(value: unknown): GenerateReply | null {
  const from = fields(value);
  const id = text(from?.job_id);
  const called = name(from?.name);
  if (!from || id === null || called === null) return null;
  const nearest = names(from.nearest);
  return {
    job_id: id,
    name: called,
    n: count(from.n),
    state: jobState(from.state) ?? 'queued',
    standin_url: address(from.standin_url),
    ...(nearest.length > 0 ? { nearest } : {}),
  };
}

export function parseSession(value: unknown): Session | null {
  const from = fields(value);
  const session = text(from?.session);
  return session === null ? null : { session, bpm: number(from?.bpm), key: text(from?.key) };
}

/** Every address of a sound, slot by slot or note by note. */
export const allUrls = (urls: SoundUrls): string[] => (Array.isArray(urls) ? urls : Object.values(urls).flat());

/** The addresses that slot `n` needs. A note map gives its n-th address of each note, wrapping as Strudel does. */
export function slotUrls(urls: SoundUrls, n: number): string[] {
  const nth = (list: string[]): string[] => list.slice(n % list.length, (n % list.length) + 1);
  return Array.isArray(urls) ? nth(urls) : Object.values(urls).flatMap((entry) => nth([entry].flat()));
}
