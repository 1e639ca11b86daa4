// SPDX-License-Identifier: AGPL-3.0-or-later
/**
 * How a sample sounds: superdough's own sampler (onTriggerSample of superdough 1.3.0, AGPL-3.0-or-later, by the Strudel
 * contributors), but for two things. Audio comes from our cache, which can forget and heal; and an event whose sound is
 * not here yet waits for it and begins inside it.
 */
import {
  getADSRValues,
  getParamADSR,
  getPitchEnvelope,
  getSampleInfo,
  getVibratoOscillator,
  onceEnded,
  releaseAudioNode,
  soundMap,
  superdough,
  type Bank,
  type SoundEntry,
  type SoundHandle,
} from '@strudel/webaudio';
import type { SoundUrls } from '../protocol';
import type { Buffers } from './buffers';
import { lateOnset, type Onset, type Playing, type Values } from './late';
import { WaitingEvents, type WaitingEvent } from './waiting';

export interface SamplerOptions {
  context: () => AudioContext;
  buffers: Buffers<AudioBuffer>;
  /** An event needs this address, which is not loaded. */
  want: (url: string, name: string) => void;
  onError: (message: string) => void;
}

export interface EntryOptions {
  /** Without note() the sound plays at its first root. */
  asMade?: boolean;
  tag?: string;
  prebake?: boolean;
}

type Resolve = (value: Values) => { url: string; rate: number; value: Values };

/** A late event that superdough is given, and what it made of it. */
interface Attempt {
  value: Record<string, unknown>;
  handle: SoundHandle | null;
  /** It is connected, so it is heard. */
  taken: boolean;
}

/** An event that begins late is scheduled this many seconds ahead; further again when that was too little for this machine. */
const LEADS_S = [0.03, 0.1, 0.3, 0.8];

const number = (value: unknown, otherwise: number): number => (typeof value === 'number' ? value : otherwise);

export class Sampler {
  private readonly waiting = new WaitingEvents();
  /** How the entries of ours find their sample. */
  private readonly resolvers = new WeakMap<SoundEntry, Resolve>();
  private readonly cutGroups = new Map<unknown, SoundHandle>();
  /** Late events begin one after the other: each looks at the clock when it is its turn. */
  private turn: Promise<void> = Promise.resolve();
  private attempt: Attempt | null = null;
  private readonly reversed = new WeakMap<AudioBuffer, AudioBuffer>();

  constructor(private readonly options: SamplerOptions) {}

  /** A name that plays these addresses. Strudel plays a map from c2 where there is no note(); see `asMade`. */
  entry(urls: SoundUrls, { asMade = true, ...data }: EntryOptions = {}): SoundEntry {
    const bank: Bank = Array.isArray(urls)
      ? urls
      : Object.fromEntries(Object.entries(urls).map(([note, entry]) => [note, [entry].flat()]));
    const root = Array.isArray(bank) || !asMade ? undefined : Object.keys(bank)[0];
    const resolve: Resolve = (given) => {
      const bare = root !== undefined && given['note'] === undefined && given['freq'] === undefined;
      const value = bare ? { ...given, note: root } : given;
      const { url, playbackRate } = getSampleInfo(value, bank);
      return { url: url.replaceAll('#', '%23'), rate: playbackRate, value };
    };
    const entry: SoundEntry = {
      onTrigger: (time, value, onEnded, cps) => {
        const found = resolve(value);
        const buffer = this.options.buffers.play(found.url);
        if (buffer) {
          const handle = this.sound(time, found.value, found.rate, buffer, onEnded);
          if (handle && value === this.attempt?.value) observe(this.attempt, handle);
          return handle;
        }
        this.wait(time, value, cps);
        this.options.want(found.url, String(value['s']));
        return undefined;
      },
      data: { type: 'sample', samples: bank, ...data },
    };
    this.resolvers.set(entry, resolve);
    return entry;
  }

  /** A name that has no sound yet: silent, without an error at each event, and its events wait. */
  placeholder(): SoundEntry {
    return {
      onTrigger: (time, value, _, cps) => this.wait(time, value, cps),
      data: { type: 'sample', samples: [] },
    };
  }

  /**
   * Events that had started when their code was evaluated: the scheduler does not bring them any more. Those whose sound is
   * not here yet begin inside it when it comes; what is here waits for its next event, as everywhere in Strudel.
   */
  enter(onsets: readonly Onset[], cps: number): void {
    for (const { time, duration, value } of onsets) {
      const s = typeof value['bank'] === 'string' ? `${value['bank']}_${String(value['s'])}` : String(value['s']);
      const entry = soundMap.get()[s.toLowerCase()];
      const resolve = entry && this.resolvers.get(entry);
      const isPlaceholder = entry && Array.isArray(entry.data['samples']) && entry.data['samples'].length === 0;
      if (resolve ? this.options.buffers.has(resolve({ ...value, s }).url) : !isPlaceholder) continue;
      this.wait(time, { ...value, s, duration }, cps);
    }
  }

  /** Sounds came: the events that wait for them begin now, where they would be by now. */
  arrived(names: Iterable<string> = this.waiting.names()): void {
    for (const name of names) this.waiting.offer(name, (event) => this.begin(event));
  }

  /** The pattern changed: events of other names do not begin any more. */
  retain(names: Iterable<string>): void {
    this.waiting.retain(new Set(names));
  }

  /** Nothing waits any more. */
  clear(): void {
    this.waiting.clear();
  }

  private wait(time: number, value: Values, cps: number | undefined): undefined {
    const name = String(value['s']).toLowerCase();
    this.waiting.add({ name, time, cps, value: { ...value }, duration: number(value['duration'], 0) });
  }

  /** True when the event need not wait any more: it begins, or it is over. */
  private begin(event: WaitingEvent): boolean {
    const entry = soundMap.get()[event.name];
    const resolve = entry && this.resolvers.get(entry);
    if (!resolve) return false;
    const { url, rate, value } = resolve(event.value);
    const buffer = this.options.buffers.play(url);
    if (!buffer) {
      this.options.want(url, event.name);
      return false;
    }
    const factor = rate * (value['unit'] === 'c' ? buffer.duration : 1);
    const playing = { seconds: buffer.duration, rate: factor };
    if (factor > 0) this.turn = this.turn.then(() => this.start(event, playing));
    return true;
  }

  /** Superdough drops an event whose time passes while it is set up, and does not say so: then it is tried once more. */
  private async start(event: WaitingEvent, playing: Playing): Promise<void> {
    for (const lead of LEADS_S) {
      const onset = lateOnset(event, playing, this.options.context().currentTime + lead);
      if (!onset) return;
      const attempt: Attempt = { value: { ...onset.value }, handle: null, taken: false };
      this.attempt = attempt;
      try {
        await superdough(attempt.value, onset.time, onset.duration, event.cps);
      } catch (error) {
        this.options.onError(error instanceof Error ? error.message : String(error));
        return;
      } finally {
        this.attempt = null;
      }
      if (attempt.taken) return;
      // A silent source.
      attempt.handle?.stop(0);
    }
  }

  private sound(
    time: number,
    value: Values,
    rate: number,
    audio: AudioBuffer,
    onEnded: () => void,
  ): SoundHandle | undefined {
    const { loop, cut } = value;
    const speed = number(value['speed'], 1);
    if (speed === 0) return undefined;
    const context = this.options.context();
    const buffer = speed < 0 ? this.reverse(audio) : audio;
    const begin = number(value['begin'], 0);
    const end = number(value['end'], 1);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.playbackRate.value = rate * (value['unit'] === 'c' ? buffer.duration : 1);
    if (loop) {
      source.loop = true;
      source.loopStart = number(value['loopBegin'], 0) * buffer.duration;
      source.loopEnd = number(value['loopEnd'], 1) * buffer.duration;
    }
    const vibrato = getVibratoOscillator(source.detune, value, time);
    const start = time + number(value['nudge'], 0);
    source.start(start, begin * buffer.duration);

    const envelope = context.createGain();
    const out = context.createGain(); // its own gain for cut groups, as superdough has it
    source.connect(envelope).connect(out);
    const [attack, decay, sustain, release] = getADSRValues([
      value['attack'],
      value['decay'],
      value['sustain'],
      value['release'],
    ]);
    const rings = [value['clip'], loop, value['release']].every((given) => given === undefined || given === null);
    const slice = ((end - begin) * buffer.duration) / source.playbackRate.value;
    const holdEnd = time + (rings ? slice : number(value['duration'], slice));
    getParamADSR(envelope.gain, attack, decay, sustain, release, 0, 1, time, holdEnd, 'linear');
    getPitchEnvelope(source.detune, value, time, holdEnd);
    onceEnded(source, () => {
      releaseAudioNode(source);
      vibrato?.stop();
      releaseAudioNode(envelope);
      releaseAudioNode(out);
      onEnded();
    });
    source.stop(holdEnd + release + 0.01);
    const handle: SoundHandle = {
      node: out,
      nodes: { source: [source], ...vibrato?.nodes },
      stop: (at) => source.stop(at),
    };
    if (cut !== undefined) {
      const before = this.cutGroups.get(cut);
      before?.node.gain.setValueAtTime(1, start);
      before?.node.gain.linearRampToValueAtTime(0, start + 0.01);
      this.cutGroups.set(cut, handle);
    }
    return handle;
  }

  private reverse(buffer: AudioBuffer): AudioBuffer {
    const before = this.reversed.get(buffer);
    if (before) return before;
    const reversed = new AudioBuffer(buffer);
    for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
      reversed.copyToChannel(buffer.getChannelData(channel).slice().reverse(), channel);
    }
    this.reversed.set(buffer, reversed);
    return reversed;
  }
}

/** Notices that superdough connects a sound to its effects, which it does when nothing was too late. */
function observe(attempt: Attempt, handle: SoundHandle): void {
  attempt.handle = handle;
  const { node } = handle;
  const connect = node.connect.bind(node) as (to: AudioNode) => AudioNode;
  node.connect = ((to: AudioNode) => {
    attempt.taken = true;
    return connect(to);
  }) as typeof node.connect;
}
