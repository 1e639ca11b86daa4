// SPDX-License-Identifier: AGPL-3.0-or-later
/** Against a real Socket.IO server on a real port. */
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, type Socket } from 'socket.io';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Connection, type ConnectionOptions } from '../src/connection';
import { golden } from './golden';

type Ack = (reply: unknown) => void;

let http: HttpServer;
let server: Server;
let url: string;
let connection: Connection | undefined;
let hellos: Record<string, unknown>[];
let log: string[];

const facts = { version: '1', engine: 'tone', device: 'cpu', why: 'Because.' };
const everything = (head: number): object => ({ epoch: 'a', head, server: facts, reset: true, sounds: [] });
const push = (seq: number): object => ({ ...(golden('sound') as object), seq, name: `gen_${seq}` });

/** Sends the message once the page has the answer to its hello. */
const afterHello = (socket: Socket, ...messages: [string, unknown][]): void => {
  setImmediate(() => messages.forEach(([type, message]) => socket.emit(type, message)));
};

const soundsOnly = (): string[] => log.filter((line) => /^(reset|gen_|-gen_)/.test(line));

function connect(options: ConnectionOptions = {}): Connection {
  connection = new Connection({
    url,
    onState: (state) => log.push(state),
    onReset: (sounds) => log.push(`reset ${sounds.length}`),
    onSound: ({ name }) => log.push(name),
    onSoundRemoved: (name) => log.push(`-${name}`),
    onJob: ({ state }) => log.push(`job ${state}`),
    ...options,
  });
  connection.open();
  return connection;
}

beforeEach(async () => {
  hellos = [];
  log = [];
  http = createServer((_, response) => response.end());
  server = new Server(http, { transports: ['websocket'] });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
});

afterEach(async () => {
  connection?.close();
  await server.close();
});

describe('connecting', () => {
  test('it says hello, hands over everything, then what is pushed', async () => {
    server.on('connection', (socket) => {
      socket.on('hello', (request: Record<string, unknown>, ack: Ack) => {
        hellos.push(request);
        ack(golden('hello_reply_reset'));
        afterHello(socket, ['sound', push(47)], ['job', golden('job_progress')], ['sound_removed', { seq: 48, name: 'gen_47' }]);
      });
    });
    let why = '';
    connect({ session: 'main', onServer: (info) => (why = info.why) });
    await vi.waitFor(() => expect(log).toContain('-gen_47'));
    expect(soundsOnly()).toEqual(['reset 2', 'gen_47', '-gen_47']);
    expect(log).toEqual(expect.arrayContaining(['online', 'job running']));
    expect(hellos).toEqual([{ session: 'main' }]);
    expect(why).toContain('sounds are synthesised');
  });

  test('after a loss it asks for what came after its last number', async () => {
    server.on('connection', (socket) => {
      socket.on('hello', (request: Record<string, unknown>, ack: Ack) => {
        hellos.push(request);
        if (request.since === undefined) {
          ack(everything(1));
          afterHello(socket, ['sound', push(2)]);
        } else {
          ack({ epoch: 'a', head: 4, server: facts, events: [3, 4].map((seq) => ({ type: 'sound', ...push(seq) })) });
        }
      });
    });
    const made = connect();
    await vi.waitFor(() => expect(made.since).toBe(2));
    server.sockets.sockets.forEach((socket) => socket.conn.close());
    await vi.waitFor(() => expect(made.since).toBe(4));
    expect(hellos).toEqual([{}, { epoch: 'a', since: 2 }]);
    expect(soundsOnly()).toEqual(['reset 0', 'gen_2', 'gen_3', 'gen_4']);
    expect(log.filter((line) => line.endsWith('line'))).toEqual(['online', 'offline', 'online']);
  });

  test('a gap and a head that is further on make it ask again', async () => {
    server.on('connection', (socket) => {
      socket.on('hello', (request: Record<string, unknown>, ack: Ack) => {
        hellos.push(request);
        if (request.since === undefined) {
          ack(everything(1));
          afterHello(socket, ['sound', push(3)]);
        } else if (request.since === 1) {
          ack({ epoch: 'a', head: 3, server: facts, events: [2, 3].map((seq) => ({ type: 'sound', ...push(seq) })) });
          afterHello(socket, ['head', { epoch: 'a', head: 4 }]);
        } else {
          ack({ epoch: 'a', head: 4, server: facts, events: [{ type: 'sound', ...push(4) }] });
        }
      });
    });
    const made = connect();
    await vi.waitFor(() => expect(made.since).toBe(4));
    expect(log.filter((line) => line.startsWith('gen_'))).toEqual(['gen_2', 'gen_3', 'gen_4']);
    expect(hellos.map(({ since }) => since)).toEqual([undefined, 1, 3]);
  });

  test('a server that comes back with another catalogue is taken as it is', async () => {
    server.on('connection', (socket) => {
      socket.on('hello', (request: Record<string, unknown>, ack: Ack) => {
        hellos.push(request);
        if (hellos.length === 1) {
          ack(everything(1));
          afterHello(socket, ['sound', push(9)]); // a gap: the page asks again …
        } else if (hellos.length === 2) {
          socket.conn.close(); // … and gets no answer
        } else {
          ack({ ...everything(0), epoch: 'b' });
          afterHello(socket, ['sound', push(1)]);
        }
      });
    });
    connect();
    await vi.waitFor(() => expect(log).toContain('gen_1'));
    expect(soundsOnly()).toEqual(['reset 0', 'reset 0', 'gen_1']);
    expect(log).toContain('online');
    expect(hellos).toHaveLength(3);
  });

  test('a refused hello says why, and does not try on by itself', async () => {
    server.on('connection', (socket) => {
      socket.on('hello', (_: unknown, ack: Ack) => ack({ error: { code: 'forbidden', message: 'Give the right key.' } }));
    });
    let why = '';
    const made = connect({ onState: (state, because) => state === 'refused' && (why = because) });
    await vi.waitFor(() => expect(made.state).toBe('refused'));
    expect(why).toBe('Give the right key.');
  });

  test('a server that refuses the namespace is refused, with its reason', async () => {
    server.use((_, next) => next(new Error('Too many players are here. Try again later.')));
    let why = '';
    const made = connect({ onState: (state, because) => state === 'refused' && (why = because) });
    await vi.waitFor(() => expect(made.state).toBe('refused'));
    expect(why).toBe('Too many players are here. Try again later.');
  });

  test('no server is offline; one that answers plain requests only is refused', async () => {
    await server.close();
    let answers = false;
    const made = connect({ probe: () => Promise.resolve(answers) });
    await vi.waitFor(() => expect(made.state).toBe('offline'));
    answers = true;
    await vi.waitFor(() => expect(made.state).toBe('refused'), { timeout: 5000 });
  });
});

describe('asking', () => {
  async function online(answer: unknown): Promise<{ made: Connection; asked: unknown[] }> {
    const asked: unknown[] = [];
    server.on('connection', (socket) => {
      socket.on('hello', (_: unknown, ack: Ack) => ack(everything(0)));
      for (const type of ['generate', 'cancel']) {
        socket.on(type, (request: unknown, ack: Ack) => {
          asked.push(request);
          ack(answer);
        });
      }
    });
    const made = connect({ session: 'main' });
    await vi.waitFor(() => expect(made.state).toBe('online'));
    return { made, asked };
  }

  test('a wish carries the session and gets its answer', async () => {
    const { made, asked } = await online(golden('generate_reply'));
    expect(await made.generate({ prompt: 'a kick' })).toEqual({ ok: true, reply: golden('generate_reply') });
    expect(asked).toEqual([{ prompt: 'a kick', session: 'main' }]);
  });

  test('a refused wish is a sentence', async () => {
    const { made } = await online(golden('generate_error'));
    expect(await made.generate({ prompt: '' })).toMatchObject({ ok: false, error: { code: 'invalid_request' } });
  });

  test('an answer that cannot be read is a sentence, too', async () => {
    const { made } = await online('yes');
    expect(await made.generate({ prompt: 'a' })).toMatchObject({ ok: false, error: { code: 'unreadable' } });
  });

  test('cancelling names the job', async () => {
    const { made, asked } = await online({});
    expect(await made.cancel('gen_3f9a0c5b7e12')).toBeNull();
    expect(asked).toEqual([golden('cancel')]);
  });

  test('without a connection a wish fails at once', async () => {
    await server.close();
    const made = connect({ probe: () => Promise.resolve(false) });
    expect(await made.generate({ prompt: 'a' })).toMatchObject({ ok: false, error: { code: 'offline' } });
  });
});
