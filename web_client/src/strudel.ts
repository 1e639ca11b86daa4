// SPDX-License-Identifier: AGPL-3.0-or-later
/** Strudel: the editor, its scheduler and its sounds. The only file that imports it. Nothing here asks the network
 * for anything but samples of our own. */
import * as codemirror from '@strudel/codemirror';
import { StrudelMirror } from '@strudel/codemirror';
import * as core from '@strudel/core';
import { evalScope, silence, type Pattern } from '@strudel/core';
import * as draw from '@strudel/draw';
import * as mini from '@strudel/mini';
import * as tonal from '@strudel/tonal';
import { transpiler } from '@strudel/transpiler';
import * as webaudio from '@strudel/webaudio';
import {
  getAudioContext,
  getSuperdoughAudioController,
  initAudio,
  loadBuffer,
  onTriggerSample,
  registerSynthSounds,
  registerZZFXSounds,
  resetGlobalEffects,
  soundMap,
  webaudioOutput,
  type Bank,
  type SoundEntry,
} from '@strudel/webaudio';
import { mendVisuals } from './editor/visuals';
import { createLimiter, type Chain } from './limiter';
import type { SoundUrls } from './protocol';
import { encodeWav } from './wav';

export interface PlayerOptions {
  /** Where the editor goes. */
  root: HTMLElement;
  code: string;
  /** More names for the code that is evaluated. */
  scope?: Record<string, unknown>;
  onCode?: (code: string) => void;
  /** At each evaluation, before it sounds: every name of a sound that the pattern uses in its first eight cycles. */
  onEvaluated?: (names: string[]) => void;
  onPlaying?: (playing: boolean) => void;
  /** Something a player should know, such as an error in the code. */
  onLog?: (message: string, isError: boolean) => void;
}

const CYCLES_AHEAD = 8;
const FADE_S = 0.03;
/** Superdough's own default gain: a preview is as loud as the pattern. */
const PREVIEW_GAIN = 0.8;

export class StrudelPlayer {
  readonly ready: Promise<void>;
  private readonly mirror: StrudelMirror;
  private limiter: Chain | null = null;
  private initialized: Promise<void> | null = null;
  private readonly previews = new Set<() => void>();

  constructor(private readonly options: PlayerOptions) {
    mendVisuals();
    this.mirror = new StrudelMirror({
      root: options.root,
      initialCode: options.code,
      pattern: silence,
      bgFill: false,
      defaultOutput: webaudioOutput,
      getTime: () => getAudioContext().currentTime,
      transpiler,
      drawTime: [-2, 2],
      drawContext: draw.getDrawContext(),
      prebake: () => this.prebake(),
      beforeStart: () => this.wake(),
      // Called with the pattern just before it is scheduled: its very first event finds its sounds known.
      editPattern: (pattern: Pattern) => {
        options.onEvaluated?.(soundNames(pattern, this.cps));
        return pattern;
      },
      onToggle: (playing: boolean) => options.onPlaying?.(playing),
      // Strudel calls this while the constructor still runs.
      onUpdateState: () => queueMicrotask(() => options.onCode?.(this.code)),
    });
    this.ready = this.mirror.prebaked.then(() => undefined);
    document.addEventListener('strudel.log', (event) => this.log(event));
  }

  get code(): string {
    return this.mirror.code;
  }

  /** Cycles per second. */
  get cps(): number {
    return this.mirror.repl.scheduler.cps;
  }

  get playing(): boolean {
    return this.mirror.repl.scheduler.started;
  }

  get context(): AudioContext {
    return getAudioContext();
  }

  /** The last node before the loudspeakers. It stays the same node for the life of the page. */
  get output(): AudioNode {
    return this.master().output;
  }

  /** Where what is no pattern goes in: before the limiter. */
  get input(): AudioNode {
    return this.master().input;
  }

  focus(): void {
    this.mirror.editor.focus();
  }

  /** Evaluates `code`, or what is in the editor, and plays it. */
  async evaluate(code?: string): Promise<void> {
    void this.wake();
    if (code !== undefined && code !== this.mirror.code) this.mirror.setCode(code);
    if (this.mirror.code.trim() === '') return;
    await this.mirror.evaluate();
  }

  /** Stops the pattern; what is sounding rings out. */
  stop(): void {
    void this.mirror.stop();
  }

  /** Stops everything at once: the pattern, tails, echoes and previews. */
  async silence(): Promise<void> {
    this.stop();
    for (const end of [...this.previews]) end();
    const { gain } = getSuperdoughAudioController().output.destinationGain;
    gain.setTargetAtTime(0, this.context.currentTime, FADE_S / 5);
    await new Promise((resolve) => setTimeout(resolve, FADE_S * 1000));
    resetGlobalEffects();
  }

  /** A browser lets a page sound only after a click or a key, so this belongs into the handlers of both. */
  async wake(): Promise<void> {
    this.master();
    void this.context.resume();
    this.initialized ??= initAudio();
    await this.initialized;
  }

  /** True when a name would sound; a placeholder does not. */
  knows(name: string): boolean {
    const samples = soundMap.get()[name.toLowerCase()]?.data.samples;
    return name.toLowerCase() in soundMap.get() && !(Array.isArray(samples) && samples.length === 0);
  }

  /** Makes names playable, all of them in one step. A name that plays already changes at its next event. */
  register(sounds: ReadonlyMap<string, SoundUrls>): void {
    const added: Record<string, SoundEntry> = {};
    for (const [name, urls] of sounds) added[name] = sampleEntry(urls);
    soundMap.set({ ...soundMap.get(), ...added });
  }

  /** Forgets names. */
  unregister(names: Iterable<string>): void {
    const gone = new Set(names);
    soundMap.set(Object.fromEntries(Object.entries(soundMap.get()).filter(([name]) => !gone.has(name))));
  }

  /** Keeps a name silent, without an error at each event, until it is registered. */
  placeholder(name: string): void {
    const entry: SoundEntry = { onTrigger: () => undefined, data: { type: 'sample', samples: [] } };
    soundMap.set({ ...soundMap.get(), [name]: entry });
  }

  /** Fetches and decodes. Strudel keeps the result, and a failure too, under this address for ever. */
  async preload(url: string): Promise<void> {
    await loadBuffer(url, this.context);
  }

  /** Makes a buffer playable under a name. */
  async registerBuffer(name: string, buffer: AudioBuffer): Promise<void> {
    const url = URL.createObjectURL(encodeWav(buffer));
    await this.preload(url);
    URL.revokeObjectURL(url);
    this.register(new Map([[name.toLowerCase().replace(/\s+/g, '_'), [url]]]));
  }

  /** Plays one sample, beside the pattern. The function that is returned stops it. */
  preview(url: string, onEnded: () => void): () => void {
    let source: AudioBufferSourceNode | null = null;
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      source?.stop();
      this.previews.delete(end);
      onEnded();
    };
    this.previews.add(end);
    void this.wake();
    loadBuffer(url, this.context).then((buffer) => {
      if (over) return;
      source = new AudioBufferSourceNode(this.context, { buffer });
      source.connect(new GainNode(this.context, { gain: PREVIEW_GAIN })).connect(this.master().input);
      source.onended = end;
      source.start();
    }, end);
    return end;
  }

  private async prebake(): Promise<void> {
    const scope = this.options.scope ?? {};
    await Promise.all([
      evalScope(core, codemirror, draw, mini, tonal, webaudio, scope),
      registerSynthSounds(),
      registerZZFXSounds(),
    ]);
  }

  /** The limiter, put between superdough and the loudspeakers when it is first needed. */
  private master(): Chain {
    if (this.limiter) return this.limiter;
    const { destination } = this.context;
    const { output } = getSuperdoughAudioController();
    const limiter = createLimiter(this.context, destination.channelCount);
    limiter.output.connect(destination);
    const insert = (): void => {
      output.destinationGain.disconnect();
      output.destinationGain.connect(limiter.input);
    };
    // A reset of the effects makes a new last node and connects it past us.
    const initialize = output.initializeAudio.bind(output);
    output.initializeAudio = () => {
      initialize();
      insert();
    };
    insert();
    this.limiter = limiter;
    return limiter;
  }

  private log(event: Event): void {
    const { message, type } = (event as CustomEvent<{ message: string; type?: string }>).detail;
    const isError = type === 'error' || /\berror:|not found|took too long/.test(message);
    if (isError) this.options.onLog?.(message.replace(/^\[\w+\]\s*(error:\s*)?/, ''), true);
    else if (message.startsWith('[eval]')) this.options.onLog?.('', false);
  }
}

function sampleEntry(urls: SoundUrls): SoundEntry {
  // Without note() Strudel plays a map from c2, octaves below most sounds; here a bare s("x") sounds as it was made.
  const root = Array.isArray(urls) ? undefined : Object.keys(urls)[0];
  const bank: Bank = Array.isArray(urls)
    ? urls
    : Object.fromEntries(Object.entries(urls).map(([note, entry]) => [note, [entry].flat()]));
  return {
    onTrigger: (time, value, onEnded) => {
      const asMade = root !== undefined && value['note'] === undefined && value['freq'] === undefined;
      return onTriggerSample(time, asMade ? { ...value, note: root } : value, onEnded, bank);
    },
    data: { type: 'sample', samples: bank, tag: 'sample-bridge' },
  };
}

/** Every name of a sound in the first cycles of a pattern, lower case, with its bank. */
export function soundNames(pattern: Pattern, cps: number): string[] {
  const names = new Set<string>();
  try {
    for (const { value } of pattern.queryArc(0, CYCLES_AHEAD, { _cps: cps })) {
      if (typeof value !== 'object' || value === null) continue;
      const { s, bank } = value as { s?: unknown; bank?: unknown };
      if (typeof s !== 'string') continue;
      names.add((typeof bank === 'string' ? `${bank}_${s}` : s).toLowerCase());
    }
  } catch {
    // A pattern that cannot be asked ahead of time says so itself when it plays.
  }
  return [...names];
}
