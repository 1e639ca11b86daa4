// SPDX-License-Identifier: AGPL-3.0-or-later
// Strudel comes without types; these are the parts that strudel.ts uses.

declare module '@strudel/core' {
  export interface Hap {
    value: unknown;
    whole?: { begin: { valueOf(): number }; end: { valueOf(): number } };
  }
  export interface Pattern {
    queryArc(begin: number, end: number, controls?: Record<string, unknown>): Hap[];
  }
  export const silence: Pattern;
  export const Pattern: { prototype: object };
  /** Every name that code can use. */
  export const strudelScope: Record<string, unknown>;
  export function evalScope(...modules: unknown[]): Promise<unknown>;
}

declare module '@strudel/core/util.mjs' {
  export function code2hash(code: string): string;
  export function hash2code(hash: string): string;
}

declare module '@strudel/codemirror' {
  import type { Pattern } from '@strudel/core';
  export interface Repl {
    evaluate(code: string, autostart?: boolean): Promise<Pattern | undefined>;
    scheduler: {
      cps: number;
      started: boolean;
      /** Cycles up to which events were scheduled. */
      lastEnd: number;
      num_ticks_since_cps_change: number;
      num_cycles_at_cps_change: number;
      seconds_at_cps_change: number;
      latency: number;
    };
    state: { error?: Error };
  }
  import type { Extension, StateEffectType } from '@codemirror/state';
  import type { EditorView, WidgetType } from '@codemirror/view';
  /** A picture inside the code: its kind, which of its kind it is, and where its call ends in the code. */
  export interface WidgetConfig {
    type: string;
    index: number;
    to: number;
    id?: string;
  }
  /** Each setting of the editor: what it adds when it is on. */
  export const extensions: Record<string, (on: unknown) => Extension>;
  export const addWidget: StateEffectType<WidgetConfig[]>;
  export const widgetPlugin: readonly Extension[];
  export class BlockWidget extends WidgetType {
    constructor(config: WidgetConfig);
    toDOM(): HTMLElement;
  }
  export class StrudelMirror {
    constructor(options: Record<string, unknown>);
    code: string;
    editor: EditorView;
    prebaked: Promise<unknown>;
    repl: Repl;
    evaluate(autostart?: boolean): Promise<void>;
    stop(): Promise<void>;
    setCode(code: string): void;
    changeSetting(key: string, value: unknown): void;
  }
}

declare module '@strudel/draw' {
  export function getDrawContext(id?: string): CanvasRenderingContext2D;
}
declare module '@strudel/mini' {
  /** Reads a text in mini-notation, in its quotes; throws an error with `location` and `found`. */
  export const parse: (quoted: string) => unknown;
}
declare module '@strudel/tonal';

declare module '@strudel/transpiler' {
  export const transpiler: (code: string, options?: unknown) => { output: string };
}

declare module '@strudel/webaudio' {
  export type Bank = string[] | Record<string, string[]>;
  export interface SoundEntry {
    onTrigger: (time: number, value: Record<string, unknown>, onEnded: () => void, cps?: number) => unknown;
    data: Record<string, unknown>;
  }
  export interface SuperdoughOutput {
    destinationGain: GainNode;
    initializeAudio(): void;
  }
  export const soundMap: { get(): Record<string, SoundEntry>; set(sounds: Record<string, SoundEntry>): void };
  export const webaudioOutput: unknown;
  export function getAudioContext(): AudioContext;
  export function getSuperdoughAudioController(): { output: SuperdoughOutput };
  export function resetGlobalEffects(): void;
  export function initAudio(options?: Record<string, unknown>): Promise<void>;
  export function registerSynthSounds(): Promise<void> | void;
  export function registerZZFXSounds(): void;
  export interface SoundHandle {
    node: GainNode;
    nodes: Record<string, unknown>;
    stop(time: number): void;
  }
  export function superdough(
    value: Record<string, unknown>,
    time: number,
    duration: number,
    cps?: number,
    cycle?: number,
  ): Promise<void>;
  export function fetchSampleMap(address: string): Promise<[object, string]>;
  export function processSampleMap(map: object, register: (key: string, bank: Bank) => void, base?: string): void;
  export function registerWaveTable(key: string, bank: Bank, data: object): void;
  export function getSampleInfo(value: object, bank: Bank): { url: string; playbackRate: number };
  export function getADSRValues(values: unknown[]): [number, number, number, number];
  export function getParamADSR(
    param: AudioParam,
    attack: number,
    decay: number,
    sustain: number,
    release: number,
    min: number,
    max: number,
    begin: number,
    end: number,
    curve: 'linear' | 'exponential',
  ): void;
  export function getPitchEnvelope(param: AudioParam, value: object, time: number, end: number): void;
  export function getVibratoOscillator(
    param: AudioParam,
    value: object,
    time: number,
  ): { stop(time?: number): void; nodes: Record<string, unknown> } | undefined;
  export function onceEnded(node: AudioScheduledSourceNode, ended: () => void): void;
  export function releaseAudioNode(node: AudioNode): void;
}
