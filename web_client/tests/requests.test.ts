// SPDX-License-Identifier: AGPL-3.0-or-later
import { expect, test } from 'vitest';
import type { GenerateAnswer } from '../src/connection';
import type { GenerateRequest } from '../src/protocol';
import { MOST_NAMES, promptOf, Requests } from '../src/requests';

const yes = (name: string): GenerateAnswer => ({
  ok: true,
  reply: { job_id: 'gen_3f9a0c5b7e12', name, n: 0, state: 'queued', standin_url: null },
});
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface World {
  online: boolean;
  asked: GenerateRequest[];
  silent: string[];
  problems: string[];
  mistyped: [name: string, nearest: string[]][];
  cut: [name: string, n: number][];
  answer: (request: GenerateRequest) => GenerateAnswer;
}

function made(known: string[] = []): { requests: Requests; world: World } {
  const world: World = {
    online: true,
    asked: [],
    silent: [],
    problems: [],
    mistyped: [],
    cut: [],
    answer: ({ name }) => yes(name ?? ''),
  };
  const requests = new Requests({
    knows: (name) => known.includes(name),
    placeholder: (name) => world.silent.push(name),
    generate: (request) => {
      world.asked.push(request);
      return Promise.resolve(world.answer(request));
    },
    isOnline: () => world.online,
    bpm: () => 124,
    onProblem: (message) => world.problems.push(message),
    onTrouble: (_, message) => world.problems.push(message),
    onMistyped: (name, _, nearest) => world.mistyped.push([name, nearest]),
    canCut: (name) => known.includes(name),
    cut: (name, n) => {
      world.cut.push([name, n]);
      return Promise.resolve(null);
    },
  });
  return { requests, world };
}

test.each([
  ['gen_dusty_break', 'dusty break'],
  ['musicgen_voice_1', 'voice'],
  ['gen_808_kick', '808 kick'],
  ['gen_tr_808', 'tr 808'],
  ['gen_7', '7'],
])('%s is asked for as "%s"', (name, prompt) => expect(promptOf(name)).toBe(prompt));

test('an unknown name is silent and asked for once, with the tempo that plays as a hint', async () => {
  const { requests, world } = made(['gen_kick']);
  requests.evaluated(['bd', 'gen_kick', 'gen_dusty_break', 'sawtooth', 'gen_']);
  requests.evaluated(['gen_dusty_break']);
  await settle();
  expect(world.silent).toEqual(['gen_dusty_break']);
  expect(world.asked).toEqual([{ prompt: 'dusty break', name: 'gen_dusty_break', hint_bpm: 124, make: false }]);
});

test('at most sixteen names are asked for in one evaluation; the next takes the rest', async () => {
  const { requests, world } = made();
  const names = Array.from({ length: MOST_NAMES + 4 }, (_, i) => `gen_sound_a${i}`);
  requests.evaluated(names);
  await settle();
  expect(world.asked).toHaveLength(MOST_NAMES);
  expect(world.silent).toHaveLength(MOST_NAMES + 4);
  expect(world.problems[0]).toContain('20 sounds');
  requests.evaluated(names);
  await settle();
  expect(world.asked.map(({ name }) => name)).toEqual(names);
});

test('a name that was refused says why and may be asked for again', async () => {
  const { requests, world } = made();
  world.answer = () => ({ ok: false, error: { code: 'busy', message: 'Too much is waiting.' } });
  requests.evaluated(['gen_a']);
  await settle();
  expect(world.problems).toEqual(['gen_a: Too much is waiting.']);
  requests.evaluated(['gen_a']);
  await settle();
  expect(world.asked).toHaveLength(2);
});

test('what is wanted offline is asked for when the connection is there', async () => {
  const { requests, world } = made();
  world.online = false;
  requests.evaluated(['gen_a', 'gen_b']);
  await settle();
  expect(world.asked).toEqual([]);
  world.online = true;
  requests.online();
  await settle();
  expect(world.asked.map(({ name }) => name)).toEqual(['gen_a', 'gen_b']);
});

test('a wish that the connection lost is asked again without a word', async () => {
  const { requests, world } = made();
  world.answer = () => ({ ok: false, error: { code: 'offline', message: 'Not connected.' } });
  requests.evaluated(['gen_a']);
  await settle();
  expect(world.problems).toEqual([]);
  requests.online();
  await settle();
  expect(world.asked).toHaveLength(2);
});

test('what was still being made when the connection broke is asked for again', async () => {
  const { requests, world } = made();
  requests.evaluated(['gen_a', 'gen_b']);
  await settle();
  requests.settled('gen_a');
  requests.online();
  await settle();
  expect(world.asked.map(({ name }) => name)).toEqual(['gen_a', 'gen_b', 'gen_b']);
});

test('a name that looks mistyped is not made, until somebody says that it is meant', async () => {
  const { requests, world } = made();
  world.answer = ({ name = '', make }) =>
    make ? yes(name) : { ok: false, error: { code: 'mistyped_name', message: 'It looks like …', nearest: ['gen_electric_piano'] } };
  requests.evaluated(['gen_electric_paino']);
  await settle();
  requests.evaluated(['gen_electric_paino']);
  await settle();
  expect(world.mistyped).toEqual(Array(2).fill(['gen_electric_paino', ['gen_electric_piano']]));
  requests.makeAnyway('gen_electric_paino');
  await settle();
  expect(world.asked.map(({ make }) => make)).toEqual([false, false, true]);
  expect(world.problems).toEqual([]);
});

test('slices are cut of their sound, when it is made; they are never made from words', async () => {
  const known = ['gen_break'];
  const { requests, world } = made(known);
  requests.evaluated(['gen_break_sl', 'gen_break_sl3', 'gen_new_sl', 'gen_new', 'gen_none_sl']);
  await settle();
  expect(world.asked.map(({ name }) => name)).toEqual(['gen_new']);
  expect(world.cut).toEqual([['gen_break', 0], ['gen_break', 3]]);
  expect(world.problems).toEqual([expect.stringContaining('gen_none_sl are slices of gen_none, and there is no such sound')]);
  known.push('gen_new');
  requests.settled('gen_new');
  await settle();
  expect(world.cut.at(-1)).toEqual(['gen_new', 0]);
});
