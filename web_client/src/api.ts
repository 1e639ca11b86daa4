// SPDX-License-Identifier: Apache-2.0
/**
 * Six functions for programs that want sounds from a Sample Bridge: import them from the bridge itself
 * (`import { generateMusic } from 'http://localhost:5001/sample-bridge.js'`) or copy this file.
 *
 * It depends on nothing and knows no Strudel: `registerSample` and `evalStrudelCode` go to the player that
 * `connectPlayer` was given. The bridge's own page connects its player at start.
 */

/** Whatever can play samples under names. */
export interface Player {
  registerSample(name: string, buffer: AudioBuffer): void | Promise<void>;
  evaluate(code: string): unknown;
}

export interface MusicRequest {
  /** What it should sound like. */
  prompt: string;
  /** Seconds, 0.1..120; 8 when absent. */
  duration?: number;
  [field: string]: unknown;
}

export interface StemRequest {
  /** drums, bass, melody, voice, guitar, piano, synth, fx, other, or the name of a common stem. */
  type: string;
  style?: string;
  mood?: string;
  /** For example "C minor". */
  key?: string;
  /** Beats per minute, 20..400. */
  bpm?: number;
  /** Seconds, 0.1..120; 8 when absent. */
  duration?: number;
  [field: string]: unknown;
}

export interface GeneratedAudio {
  success: true;
  prompt: string;
  /** Seconds. */
  duration: number;
  /** Hz. */
  sampling_rate: number;
  /** A whole WAV file. */
  audio_base64: string;
  /** Seconds; about 0 when the sound was there already. */
  generation_time: number;
  /** The name under which it plays in Strudel, its place there, and code to paste. */
  name?: string;
  n?: number;
  strudel?: string;
  [field: string]: unknown;
}

/** The bridge said no. `message` is a sentence for the player, `code` is stable. */
export class BridgeError extends Error {
  constructor(
    message: string,
    readonly code: string,
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
  ) {
    super(message);
    this.name = 'BridgeError';
  }
}

// Loaded from the bridge, this file's own address says where the bridge is.
let base = import.meta.url?.startsWith('http') ? new URL(import.meta.url).origin : '';
let player: Player | null = null;
let speaker: AudioContext | null = null;

/** Says where the bridge is, when this file does not come from it: `http://localhost:5001`. */
export function setBridgeUrl(url: string): void {
  base = url.replace(/\/+$/, '');
}

/** Names the player for `registerSample` and `evalStrudelCode`; null disconnects it. */
export function connectPlayer(next: Player | null): void {
  player = next;
}

/** Makes a sound from words. Throws BridgeError. */
export function generateMusic(request: MusicRequest): Promise<GeneratedAudio> {
  return post('/generate', request);
}

/** Makes one stem of a track. Throws BridgeError. */
export function generateStem(request: StemRequest): Promise<GeneratedAudio> {
  return post('/generate_stem', request);
}

/** Decodes a result. The buffer has the rate of `audioContext`. */
export function base64ToAudioBuffer(audioBase64: string, audioContext: BaseAudioContext): Promise<AudioBuffer> {
  const letters = atob(audioBase64.replace(/^data:[^,]*,/, ''));
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return audioContext.decodeAudioData(bytes.buffer);
}

/** Plays a result once, at once. The node that is returned can be stopped. */
export async function playGeneratedAudio(audioBase64: string): Promise<AudioBufferSourceNode> {
  speaker ??= new AudioContext();
  const buffer = await base64ToAudioBuffer(audioBase64, speaker);
  await speaker.resume();
  const source = new AudioBufferSourceNode(speaker, { buffer });
  source.connect(speaker.destination);
  source.start();
  return source;
}

/** Makes a buffer playable under a name: `s("name")`. */
export async function registerSample(name: string, audioBuffer: AudioBuffer): Promise<void> {
  await connected().registerSample(name, audioBuffer);
}

/** Evaluates code in the connected player. */
export async function evalStrudelCode(code: string): Promise<unknown> {
  return await connected().evaluate(code);
}

function connected(): Player {
  if (player) return player;
  throw new Error('No player is connected. Call connectPlayer({ registerSample, evaluate }) first.');
}

async function post(path: string, body: object): Promise<GeneratedAudio> {
  let response: Response;
  try {
    response = await fetch(base + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
  } catch {
    throw new BridgeError('The bridge does not answer. Is it running, and is its address right?', 'offline', 0);
  }
  const answer = (await response.json().catch(() => ({}))) as {
    success?: boolean;
    error?: { code?: string; message?: string };
  };
  if (response.ok && answer.success !== false) return answer as GeneratedAudio;
  const { code = 'internal', message = `The bridge answered ${response.status}.` } = answer.error ?? {};
  throw new BridgeError(message, code, response.status);
}
