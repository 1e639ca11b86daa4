// SPDX-License-Identifier: AGPL-3.0-or-later
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as api from '../src/api';

let server: Server;
let got: { url?: string; type?: string; body: unknown }[];
let answer: { status: number; body: string };

beforeEach(async () => {
  got = [];
  answer = { status: 200, body: '{"success": true, "prompt": "a kick", "audio_base64": "UklGRg=="}' };
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      got.push({ url: request.url, type: request.headers['content-type'], body: JSON.parse(body) });
      response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  api.setBridgeUrl(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});

afterEach(() => {
  server.close();
  api.connectPlayer(null);
});

describe('making', () => {
  test('generateMusic and generateStem post what they are given', async () => {
    const result = await api.generateMusic({ prompt: 'a kick', duration: 1 });
    await api.generateStem({ type: 'voice', style: 'angelic choir', bpm: 90 });
    expect(result.audio_base64).toBe('UklGRg==');
    expect(got).toEqual([
      { url: '/generate', type: 'application/json', body: { prompt: 'a kick', duration: 1 } },
      { url: '/generate_stem', type: 'application/json', body: { type: 'voice', style: 'angelic choir', bpm: 90 } },
    ]);
  });

  test('a refusal is an error with the sentence, the code and the status', async () => {
    answer = { status: 422, body: '{"success": false, "error": {"code": "invalid_request", "message": "Too long."}}' };
    await expect(api.generateMusic({ prompt: 'x', duration: 900 })).rejects.toMatchObject({
      name: 'BridgeError',
      message: 'Too long.',
      code: 'invalid_request',
      status: 422,
    });
  });

  test('an answer that is no JSON is an error, too', async () => {
    answer = { status: 502, body: '<h1>Bad gateway</h1>' };
    await expect(api.generateMusic({ prompt: 'x' })).rejects.toMatchObject({ status: 502, code: 'internal' });
  });

  test('no bridge is an error that says so', async () => {
    api.setBridgeUrl('http://127.0.0.1:1');
    await expect(api.generateMusic({ prompt: 'x' })).rejects.toMatchObject({ code: 'offline', status: 0 });
  });
});

describe('playing', () => {
  test('registerSample and evalStrudelCode reach the connected player', async () => {
    const calls: unknown[] = [];
    api.connectPlayer({
      registerSample: (name, buffer) => void calls.push([name, buffer]),
      evaluate: (code) => {
        calls.push(code);
        return 'pattern';
      },
    });
    const buffer = {} as AudioBuffer;
    await api.registerSample('musicgen_voice', buffer);
    expect(await api.evalStrudelCode('s("musicgen_voice")')).toBe('pattern');
    expect(calls).toEqual([['musicgen_voice', buffer], 's("musicgen_voice")']);
  });

  test('without a player they say what to do', async () => {
    await expect(api.registerSample('a', {} as AudioBuffer)).rejects.toThrow('connectPlayer');
  });

  test('base64ToAudioBuffer decodes the bytes, with or without a data: prefix', async () => {
    const decoded: number[][] = [];
    const context = {
      decodeAudioData: (bytes: ArrayBuffer) => {
        decoded.push([...new Uint8Array(bytes)]);
        return Promise.resolve({} as AudioBuffer);
      },
    } as BaseAudioContext;
    await api.base64ToAudioBuffer('UklGRg==', context);
    await api.base64ToAudioBuffer('data:audio/wav;base64,UklGRg==', context);
    expect(decoded).toEqual([
      [82, 73, 70, 70],
      [82, 73, 70, 70],
    ]);
  });
});
