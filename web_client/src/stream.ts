// SPDX-License-Identifier: AGPL-3.0-or-later
/** Contract B's stream: sound without an end, played without a gap by an AudioWorklet. */
import workletUrl from './streamworklet.js?url';

export interface StreamRequest {
  prompt: string;
  bpm?: number;
  key?: string;
  duration?: number;
  chunk_duration?: number;
  quality_mode?: 'draft' | 'balanced' | 'high';
}

export interface StreamActions {
  context: () => AudioContext;
  output: () => AudioNode;
  /** It begins, it has ended; `error` says why it could not continue. */
  onState: (playing: boolean, error?: string) => void;
  /** Something came too late: silence was heard. */
  onHole?: () => void;
}

type StreamEvent =
  | { type: 'chunk'; sample_rate: number; channels: number }
  | { type: 'error'; error: { code: string; message: string } }
  | { type: 'started' | 'progress' | 'completed' };

const loaded = new WeakMap<BaseAudioContext, Promise<void>>();

/** Interleaved 16-bit little-endian PCM as one array a channel. */
export function decodePcm(data: ArrayBuffer, channels: number): Float32Array[] {
  const view = new DataView(data);
  const frames = Math.floor(data.byteLength / (2 * channels));
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length: frames }, (_, frame) => view.getInt16(2 * (frame * channels + channel), true) / 32768),
  );
}

/** One stream at a time. */
export class Stream {
  private socket: WebSocket | null = null;
  private node: AudioWorkletNode | null = null;
  private announced: { rate: number; channels: number } | null = null;

  constructor(
    private readonly url: string,
    private readonly actions: StreamActions,
  ) {}

  get playing(): boolean {
    return this.socket !== null;
  }

  /** Begins; what plays already is changed. */
  async start(request: StreamRequest): Promise<void> {
    if (this.socket) return this.update(request);
    const session = `page-${crypto.randomUUID()}`;
    const socket = new WebSocket(`${this.url}/ws/stream/${session}`, 'sample-bridge');
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    const context = this.actions.context();
    const opened = new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onclose = socket.onerror = () => reject(new Error('The bridge did not start the stream. Is it running, and open to this page?'));
    });
    try {
      await Promise.all([opened, load(context), context.resume()]);
    } catch (error) {
      this.end(error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.socket !== socket) return; // stopped meanwhile
    this.node = new AudioWorkletNode(context, 'sample-bridge-stream', { numberOfInputs: 0, outputChannelCount: [2] });
    this.node.connect(this.actions.output());
    this.node.port.onmessage = ({ data }: MessageEvent<string>) => {
      if (data === 'hole') this.actions.onHole?.();
    };
    socket.onclose = socket.onerror = () => this.end('The stream broke off.');
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => this.hear(data);
    socket.send(JSON.stringify({ type: 'start_streaming', request: { chunk_duration: 0.5, ...request } }));
    this.actions.onState(true);
  }

  /** Changes what plays; what is not named stays. */
  update(request: Partial<StreamRequest>): void {
    this.socket?.send(JSON.stringify({ type: 'update', request }));
  }

  /** Silence, at once. */
  stop(): void {
    this.node?.disconnect();
    if (this.socket) this.end();
  }

  private hear(data: string | ArrayBuffer): void {
    if (typeof data !== 'string') {
      if (!this.announced || !this.node) return;
      const channels = decodePcm(data, this.announced.channels);
      this.node.port.postMessage({ channels, rate: this.announced.rate }, channels.map((each) => each.buffer));
      return;
    }
    const event = JSON.parse(data) as StreamEvent;
    if (event.type === 'chunk') this.announced = { rate: event.sample_rate, channels: event.channels };
    else if (event.type === 'error') this.end(event.error.message);
    else if (event.type === 'completed') this.end();
  }

  /** What has come already is played to its end, unless the player stopped it. */
  private end(error?: string): void {
    const { socket, node } = this;
    this.socket = this.node = this.announced = null;
    if (socket) {
      const finished = socket.readyState === WebSocket.OPEN;
      socket.onclose = socket.onerror = socket.onmessage = null;
      if (finished) socket.close();
    }
    if (node) {
      node.port.postMessage('end');
      node.port.onmessage = ({ data }: MessageEvent<string>) => {
        if (data === 'ended') node.disconnect();
      };
    }
    this.actions.onState(false, error);
  }
}

/** The worklet, once a context. */
function load(context: BaseAudioContext): Promise<void> {
  let module = loaded.get(context);
  if (!module) {
    module = context.audioWorklet.addModule(workletUrl);
    loaded.set(context, module);
  }
  return module;
}
