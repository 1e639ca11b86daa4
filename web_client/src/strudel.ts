// SPDX-License-Identifier: AGPL-3.0-or-later
/** Strudel: the editor, its scheduler and its sounds. With editor/ and sound/ the only file that imports it. Nothing here
 * asks the network for anything but samples of our own. */
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
  registerSynthSounds,
  registerZZFXSounds,
  resetGlobalEffects,
  soundMap,
  webaudioOutput,
  type SoundEntry,
} from '@strudel/webaudio';
import { canvasBehind } from './editor/canvas';
import { mendCompletion, SETTING, type Offered } from './editor/completion';
import { CodeEditor } from './editor/editor';
import { readLog } from './editor/log';
import { mendVisuals } from './editor/visuals';
import { createLimiter, type Chain } from './limiter';
import type { SoundUrls } from './protocol';
import { Buffers } from './sound/buffers';
import { failureSentence, fetchBytes } from './sound/failures';
import type { Onset } from './sound/late';
import { Loader } from './sound/loader';
import { mapLoader } from './sound/maps';
import { Sampler } from './sound/sampler';
import { followTheme } from './theme';

export interface PlayerOptions {
  /** Where the editor goes. */
  root: HTMLElement;
  code: string;
  /** More names for the code that is evaluated. */
  scope?: Record<string, unknown>;
  onCode?: (code: string) => void;
  /** Before code is evaluated, which waits for it. */
  beforeEvaluate?: (code: string) => Promise<unknown>;
  /** At each evaluation, before it sounds: every name of a sound that the pattern uses in its first eight cycles. */
  onEvaluated?: (names: string[]) => void;
  /** At the first start: what the pattern waits for before it begins. */
  beforeStart?: () => Promise<unknown>;
  onPlaying?: (playing: boolean) => void;
  /** Names of ours that complete in s("…"). */
  offered?: () => Offered[];
  /** Lets a player hear one of them. */
  listen?: (name: string) => void;
  /** Something is wrong with the code or a sound; empty: nothing is any more. */
  onProblem?: (message: string) => void;
  /** Something that a player may like to know, and need not act on. */
  onMention?: (message: string) => void;
  /** A sound or a map of the code is not there, and the rest plays: the text that names it, and a sentence. */
  onTrouble?: (find: string, message: string) => void;
  /** Something that was told is not so any more. */
  onHealed?: (message: string) => void;
  /** Decoded audio that is kept; bytes. */
  audioBudget: number;
}

const CYCLES_AHEAD = 8;
const FADE_S = 0.03;
/** Superdough's own default gain: a preview is as loud as the pattern. */
const PREVIEW_GAIN = 0.8;

export class StrudelPlayer {
  readonly ready: Promise<void>;
  readonly editor: CodeEditor;
  private readonly mirror: StrudelMirror;
  private limiter: Chain | null = null;
  private initialized: Promise<void> | null = null;
  private readonly previews = new Set<() => void>();
  private readonly buffers: Buffers<AudioBuffer>;
  private readonly loader: Loader;
  private readonly sampler: Sampler;
  /** Maps that could not be loaded in this evaluation, and why: they are marked when it is over. */
  private readonly unreached = new Map<string, string>();

  constructor(private readonly options: PlayerOptions) {
    mendVisuals();
    canvasBehind(options.root);
    mendCompletion({ sounds: () => this.offered(), preview: (name) => options.listen?.(name) });
    this.buffers = new Buffers<AudioBuffer>({
      fetch: fetchBytes,
      decode: (bytes) => this.context.decodeAudioData(bytes),
      budgetBytes: options.audioBudget,
      onLoaded: () => this.sampler.arrived(),
    });
    this.loader = new Loader({
      load: (url, fresh) => this.buffers.load(url, fresh),
      onProblem: (message, name) => this.trouble(name, message),
      onHealed: (message, name) => {
        this.editor.settled(name);
        options.onHealed?.(message);
      },
    });
    this.sampler = new Sampler({
      context: () => this.context,
      buffers: this.buffers,
      want: (url, name) => void this.loader.want(url, name),
      onError: (message) => options.onProblem?.(message),
    });
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
      beforeStart: () => Promise.all([this.wake(), options.beforeStart?.()]),
      beforeEval: () => options.beforeEvaluate?.(this.code),
      // Called with the pattern just before it is scheduled: its very first event finds its sounds known.
      editPattern: (pattern: Pattern) => {
        const names = soundNames(pattern, this.cps);
        this.sampler.retain(names);
        this.editor.evaluated(names);
        for (const [find, message] of this.unreached) this.trouble(find, message);
        this.unreached.clear();
        options.onEvaluated?.(names);
        if (this.playing) this.sampler.enter(this.begun(pattern), this.cps);
        return pattern;
      },
      onEvalError: (error: Error) => this.editor.failed(error, this.code),
      onToggle: (playing: boolean) => options.onPlaying?.(playing),
      // Strudel calls this while the constructor still runs.
      onUpdateState: () => queueMicrotask(() => options.onCode?.(this.code)),
    });
    this.mirror.changeSetting(SETTING, true);
    followTheme((theme) => this.mirror.changeSetting('theme', theme));
    this.editor = new CodeEditor(this.mirror.editor, {
      language: {
        parseMini: mini.parse,
        methods: () => namesOf(core.Pattern.prototype),
        names: () => Object.keys(core.strudelScope),
        transpile: (code) => transpiler(code).output,
      },
      sounds: () => Object.keys(soundMap.get()),
      onProblem: (message) => options.onProblem?.(message),
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

  /** Where what is not a pattern goes in: before the limiter. */
  get input(): AudioNode {
    return this.master().input;
  }

  focus(): void {
    this.mirror.editor.focus();
  }

  /** Puts code into the editor; evaluates nothing, and what plays continues. */
  setCode(code: string): void {
    if (code !== this.mirror.code) this.mirror.setCode(code);
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
    this.sampler.clear();
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
    for (const [name, urls] of sounds) added[name] = this.sampler.entry(urls, { tag: 'sample-bridge' });
    soundMap.set({ ...soundMap.get(), ...added });
    this.sampler.arrived();
  }

  /** Forgets names. */
  unregister(names: Iterable<string>): void {
    const gone = new Set(names);
    soundMap.set(Object.fromEntries(Object.entries(soundMap.get()).filter(([name]) => !gone.has(name))));
  }

  /** Keeps a name silent, without an error at each event, until it is registered. */
  placeholder(name: string): void {
    soundMap.set({ ...soundMap.get(), [name]: this.sampler.placeholder() });
  }

  /** Loads an address, and keeps trying while the bridge is away; false when it has no audio. */
  want(url: string, name: string): Promise<boolean> {
    return this.loader.want(url, name);
  }

  /** What the code needs: nothing else is waited for, and none of it is forgotten. */
  keep(urls: ReadonlySet<string>): void {
    this.loader.retain(urls);
    this.buffers.keep(urls);
  }

  /** Loads an address once, as long as this many bytes of decoded audio are not reached; false when they are. */
  async warm(url: string, untilBytes: number): Promise<boolean> {
    if (this.buffers.bytes >= untilBytes) return false;
    await this.buffers.load(url);
    return true;
  }

  /** What failed is tried again, because the bridge is back or the code was evaluated once more. */
  tryAgain(): void {
    this.loader.again();
  }

  /** Decoded audio: how much there is, and how much is kept; bytes. */
  get audioMemory(): { used: number; budget: number } {
    return { used: this.buffers.bytes, budget: this.buffers.budgetBytes };
  }

  set audioBudget(bytes: number) {
    this.buffers.budgetBytes = bytes;
  }

  /** Makes a buffer playable under a name. */
  registerBuffer(name: string, buffer: AudioBuffer): void {
    const called = name.toLowerCase().replace(/\s+/g, '_');
    const url = `buffer:${called}`;
    this.buffers.put(url, buffer);
    this.register(new Map([[called, [url]]]));
  }

  /** Plays one sample, alongside the pattern. The function that is returned stops it. */
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
    const failed = (reason: unknown): void => {
      if (!over) this.options.onProblem?.(failureSentence('This sound', reason));
      end();
    };
    this.buffers.load(url).then((buffer) => {
      if (over) return;
      source = new AudioBufferSourceNode(this.context, { buffer });
      source.connect(new GainNode(this.context, { gain: PREVIEW_GAIN })).connect(this.master().input);
      source.onended = end;
      source.start();
    }, failed);
    return end;
  }

  /** The events of a pattern that have started before the scheduler asks it for the first time. */
  private begun(pattern: Pattern): Onset[] {
    const { cps, lastEnd, latency, ...since } = this.mirror.repl.scheduler;
    // The tempo changes with this evaluation: where events began is not known.
    if (since.num_ticks_since_cps_change === 0) return [];
    const seconds = (cycle: number): number =>
      (cycle - since.num_cycles_at_cps_change) / cps + since.seconds_at_cps_change + latency;
    try {
      return pattern.queryArc(lastEnd, lastEnd + 1e-6, { _cps: cps }).flatMap(({ whole, value }) => {
        if (!whole || typeof value !== 'object' || value === null || !('s' in value)) return [];
        const begin = Number(whole.begin);
        if (begin >= lastEnd) return [];
        return [{ time: seconds(begin), duration: (Number(whole.end) - begin) / cps, value: { ...value } }];
      });
    } catch {
      return []; // It says so itself when it plays.
    }
  }

  /** Marks what the code cannot have. */
  private trouble(find: string, message: string): void {
    this.editor.trouble(find, message);
    this.options.onTrouble?.(find, message);
  }

  private async prebake(): Promise<void> {
    const samples = mapLoader({
      entry: (bank, data) => this.sampler.entry(bank, { ...data, asMade: false }),
      onTrouble: (find, message) => this.unreached.set(find, message),
    });
    const scope = { samples, ...this.options.scope };
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

  /** Ours first, then what Strudel makes itself. */
  private offered(): Offered[] {
    const ours = this.options.offered?.() ?? [];
    const known = new Set(ours.map(({ name }) => name));
    const others = Object.entries(soundMap.get()).filter(([name]) => !known.has(name) && this.knows(name));
    return [...ours, ...others.map(([name, { data }]) => ({ name, kind: String(data['type'] ?? ''), facts: '' }))];
  }

  private log(event: Event): void {
    const { message, type } = (event as CustomEvent<{ message: string; type?: string }>).detail;
    const said = readLog(message, type);
    if (said?.kind === 'missing') this.editor.missing(said.name);
    else if (said?.kind === 'harmless') this.options.onMention?.(said.message);
    else if (said) this.options.onProblem?.(said.kind === 'error' ? said.message : '');
  }
}

/** What can be called on a value of this prototype. */
function namesOf(prototype: object | null): string[] {
  if (prototype === null || prototype === Object.prototype) return [];
  const own = Object.getOwnPropertyNames(prototype).filter((name) => !name.startsWith('_'));
  return [...own, ...namesOf(Object.getPrototypeOf(prototype) as object | null)];
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
