// SPDX-License-Identifier: AGPL-3.0-or-later
/** The live connection to the bridge. The only file that speaks Socket.IO. */
import { io, type Socket } from 'socket.io-client';
import {
  parseErrorReply,
  parseGenerateReply,
  parseHead,
  parseHelloReply,
  parseJob,
  parseNumbered,
  parseSession,
  type GenerateReply,
  type GenerateRequest,
  type Job,
  type NumberedEvent,
  type ServerInfo,
  type Session,
  type Sound,
  type WireError,
} from './protocol';
import { Sequence } from './sequence';

export type ConnectionState = 'connecting' | 'online' | 'offline' | 'refused';

export interface ConnectionOptions {
  /** Origin of the bridge; empty: the page's own. */
  url?: string;
  session?: string;
  /** Asked after a failed attempt: does the server answer plain requests? */
  probe?: () => Promise<boolean>;
  onState?: (state: ConnectionState, why: string) => void;
  onServer?: (server: ServerInfo) => void;
  onReset?: (sounds: Sound[]) => void;
  onSound?: (sound: Sound) => void;
  onSoundRemoved?: (name: string) => void;
  onJob?: (job: Job) => void;
  onSession?: (session: Session) => void;
}

interface ToServer {
  hello: (request: unknown, answer: (reply: unknown) => void) => void;
  generate: (request: unknown, answer: (reply: unknown) => void) => void;
  cancel: (request: unknown, answer: (reply: unknown) => void) => void;
}

interface FromServer {
  sound: (message: unknown) => void;
  sound_removed: (message: unknown) => void;
  job: (message: unknown) => void;
  head: (message: unknown) => void;
  session: (message: unknown) => void;
}

export type GenerateAnswer = { ok: true; reply: GenerateReply } | { ok: false; error: WireError };

const ANSWER_TIMEOUT_MS = 10_000;
const RETRY_MS = 500;

const WHY_CONNECTING = 'Looking for the bridge …';
const WHY_OFFLINE =
  'The bridge does not answer. Start it with “make run”; this page reconnects by itself, and loaded sounds keep playing.';
const WHY_REFUSED =
  'The bridge is running but refuses live connections from this page. Open it as http://localhost with its port, or list this origin in BRIDGE_ALLOWED_ORIGINS.';
const WHY_SILENT = 'The bridge took the connection but does not answer. Trying again …';

const askHealth = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(`${url}/health`, { cache: 'no-store' })).ok;
  } catch {
    return false;
  }
};

/**
 * Connects, says hello with the last number it has, hands events over in order and once, asks again when behind, and
 * comes back by itself after a loss.
 */
export class Connection {
  private readonly socket: Socket<FromServer, ToServer>;
  private readonly sequence: Sequence;
  private readonly probe: () => Promise<boolean>;
  private current: ConnectionState = 'connecting';
  /** Counts connections: an answer to an older one is not ours any more. */
  private round = 0;
  private greeting = false;

  constructor(private readonly options: ConnectionOptions = {}) {
    const url = options.url ?? '';
    this.probe = options.probe ?? (() => askHealth(url));
    this.sequence = new Sequence({
      reset: (sounds) => this.options.onReset?.(sounds),
      event: (event) => this.handOver(event),
    });
    this.socket = io(url || undefined, {
      transports: ['websocket'],
      autoConnect: false,
      reconnectionDelay: 250,
      // A set plays: a bridge that was started again is found within a second or two.
      reconnectionDelayMax: 1000,
    });
    this.socket.on('connect', () => this.connected());
    this.socket.on('disconnect', (reason) => this.lost(reason));
    this.socket.on('connect_error', (error) => void this.failed(error));
    this.socket.on('sound', (message) => this.numbered('sound', message));
    this.socket.on('sound_removed', (message) => this.numbered('sound_removed', message));
    this.socket.on('job', (message) => this.job(message));
    this.socket.on('head', (message) => this.head(message));
    this.socket.on('session', (message) => {
      const session = parseSession(message);
      if (session) this.options.onSession?.(session);
    });
  }

  get state(): ConnectionState {
    return this.current;
  }

  /** The last event number up to which nothing is missing; null before the first answer. */
  get since(): number | null {
    return this.sequence.since;
  }

  /** Connects; after `refused` it tries again. */
  open(): void {
    this.say('connecting', WHY_CONNECTING);
    this.socket.connect();
  }

  /** Connects again, so that the bridge looks again at who this is. */
  reopen(): void {
    this.socket.disconnect();
    this.sequence.interrupt();
    this.open();
  }

  close(): void {
    this.socket.disconnect();
  }

  /** Asks for a sound. Never rejects: a lost connection is an error with a sentence, too. */
  async generate(request: GenerateRequest): Promise<GenerateAnswer> {
    const offline: WireError = {
      code: 'offline',
      message: 'The bridge is not connected. Ask again when the connection is back.',
    };
    if (this.current !== 'online') return { ok: false, error: offline };
    const session = request.session ?? this.options.session;
    try {
      const answer: unknown = await this.socket
        .timeout(ANSWER_TIMEOUT_MS)
        .emitWithAck('generate', { ...request, ...(session === undefined ? {} : { session }) });
      const error = parseErrorReply(answer);
      if (error) return { ok: false, error };
      const reply = parseGenerateReply(answer);
      if (reply) return { ok: true, reply };
      const message = 'The bridge gave an answer that this page cannot read. Reload the page: it may be an older one.';
      return { ok: false, error: { code: 'unreadable', message } };
    } catch {
      return { ok: false, error: offline };
    }
  }

  /** Takes back one asker; null, or why it could not be done. */
  async cancel(jobId: string): Promise<WireError | null> {
    try {
      const answer: unknown = await this.socket
        .timeout(ANSWER_TIMEOUT_MS)
        .emitWithAck('cancel', { job_id: jobId });
      return parseErrorReply(answer);
    } catch {
      return { code: 'offline', message: 'The bridge did not answer, so the sound may still be made.' };
    }
  }

  private say(state: ConnectionState, why: string): void {
    this.current = state;
    this.options.onState?.(state, why);
  }

  private connected(): void {
    this.round += 1;
    this.greeting = false;
    void this.hello();
  }

  private lost(reason: string): void {
    this.round += 1;
    this.sequence.interrupt();
    if (reason === 'io client disconnect') return;
    this.say('offline', WHY_OFFLINE);
    // After a server's own goodbye Socket.IO does not come back by itself.
    if (reason === 'io server disconnect') this.later(() => this.socket.connect());
  }

  private async failed(error: Error): Promise<void> {
    if (!this.socket.active) {
      this.say('refused', error.message || WHY_REFUSED);
      return;
    }
    const round = this.round;
    const answers = await this.probe();
    if (round === this.round && !this.socket.connected) {
      this.say(answers ? 'refused' : 'offline', answers ? WHY_REFUSED : WHY_OFFLINE);
    }
  }

  private async hello(): Promise<void> {
    if (this.greeting || !this.socket.connected) return;
    this.greeting = true;
    const round = this.round;
    const { session } = this.options;
    const request = {
      ...this.sequence.ask(),
      ...(session === undefined ? {} : { session }),
    };
    let answer: unknown;
    try {
      answer = await this.socket.timeout(ANSWER_TIMEOUT_MS).emitWithAck('hello', request);
    } catch {
      answer = undefined;
    }
    if (round !== this.round) return;
    this.greeting = false;
    const error = parseErrorReply(answer);
    if (error) {
      this.sequence.interrupt();
      this.socket.disconnect();
      this.say('refused', error.message);
      return;
    }
    const reply = parseHelloReply(answer);
    if (!reply) {
      this.sequence.interrupt();
      this.say('connecting', WHY_SILENT);
      this.later(() => void this.hello());
      return;
    }
    const complete = this.sequence.answer(reply);
    this.options.onServer?.(reply.server);
    if (!complete) {
      this.later(() => void this.hello(), reply.reset ? RETRY_MS : 0);
    } else if (this.current !== 'online') {
      this.say('online', '');
    }
  }

  private later(act: () => void, ms = RETRY_MS): void {
    const round = this.round;
    setTimeout(() => {
      if (round === this.round) act();
    }, ms);
  }

  private numbered(type: string, message: unknown): void {
    const event = parseNumbered(type, message);
    if (event && !this.sequence.receive(event)) void this.hello();
  }

  private job(message: unknown): void {
    const job = parseJob(message);
    if (job && job.seq === null) this.options.onJob?.(job);
    else this.numbered('job', message);
  }

  private head(message: unknown): void {
    const head = parseHead(message);
    if (head && this.sequence.isBehind(head)) void this.hello();
  }

  private handOver(event: NumberedEvent): void {
    if (event.value === null) {
      console.warn(`Event ${event.seq} (${event.type}) could not be read. Reload the page: it may be an older one.`);
    } else if (event.type === 'sound') {
      this.options.onSound?.(event.value);
    } else if (event.type === 'sound_removed') {
      this.options.onSoundRemoved?.(event.value.name);
    } else {
      this.options.onJob?.(event.value);
    }
  }
}
