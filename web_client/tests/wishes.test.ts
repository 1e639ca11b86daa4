// SPDX-License-Identifier: AGPL-3.0-or-later
import { expect, test } from 'vitest';
import type { GenerateReply, Job, JobState, Sound } from '../src/protocol';
import { Wishes } from '../src/wishes';
import { golden, sound } from './golden';

const reply = (fields: Partial<GenerateReply> = {}): GenerateReply => ({
  job_id: 'gen_1',
  name: 'gen_a',
  n: null,
  state: 'queued',
  standin_url: null,
  ...fields,
});
const job = (state: JobState, fields: Partial<Job> = {}): Job => ({
  ...(golden('job_ended') as Job),
  job_id: 'gen_1',
  name: 'gen_a',
  state,
  ...fields,
});
const made = sound({ name: 'gen_a', seq: 9, strudel: 's("gen_a")' });

function world(): { wishes: Wishes; sounds: Map<string, Sound>; line: () => string } {
  let line = '';
  const sounds = new Map<string, Sound>();
  const wishes = new Wishes({
    find: (name) => sounds.get(name),
    say: (message, isError = false) => (line = isError ? `! ${message}` : message),
    takeBack: (message) => (line = line === message ? '' : line),
  });
  return { wishes, sounds, line: () => line };
}

test('a wish is being made until its sound is playable; a stand-in is not it', () => {
  const { wishes, line } = world();
  wishes.taken(reply(), 5);
  wishes.update(job('running'));
  wishes.came({ ...made, standin: true });
  expect(line()).toBe('Making gen_a …');
  wishes.came(made);
  expect(line()).toBe('Ready: s("gen_a")');
});

test.each([
  ['cancelled', 'gen_a is cancelled.'],
  ['failed', '! gen_a was not made.'],
] as const)('a wish that is %s is not being made any more', (state, said) => {
  const { wishes, line } = world();
  wishes.taken(reply(), 5);
  wishes.update(job(state));
  expect(line()).toBe(said);
});

test('a job that ended before its answer came is not said to be made for ever', () => {
  const { wishes, line } = world();
  wishes.update(job('failed'));
  wishes.taken(reply(), 5);
  expect(line()).toBe('! gen_a was not made.');
});

test('a job that completes with a sound which was there already is ready', () => {
  const { wishes, sounds, line } = world();
  sounds.set('gen_a', { ...made, seq: 2 });
  wishes.taken(reply(), 5);
  expect(line()).toBe('Making gen_a …');
  wishes.update(job('completed'));
  expect(line()).toBe('Ready: s("gen_a")');
});

test('a job that completes while its sound is being loaded is ready when that is done', () => {
  const { wishes, line } = world();
  wishes.taken(reply(), 5);
  wishes.update(job('completed'));
  expect(line()).toBe('Making gen_a …');
  wishes.came(made);
  expect(line()).toBe('Ready: s("gen_a")');
});

test('what is there already, or came before the answer, is ready at once', () => {
  for (const [state, since] of [['completed', 9], ['running', 8]] as const) {
    const { wishes, sounds, line } = world();
    sounds.set('gen_a', made);
    wishes.taken(reply({ state }), since);
    expect(line()).toBe('Ready: s("gen_a")');
  }
});

test('the jobs of others are no news', () => {
  const { wishes, line } = world();
  wishes.taken(reply(), 5);
  wishes.update(job('failed', { job_id: 'gen_2' }));
  wishes.came(sound({ name: 'gen_b' }));
  expect(line()).toBe('Making gen_a …');
});

test('a lost connection takes the line back, and the sound is announced when it comes', () => {
  const { wishes, line } = world();
  wishes.taken(reply(), 5);
  wishes.interrupt();
  expect(line()).toBe('');
  wishes.came(made);
  expect(line()).toBe('Ready: s("gen_a")');
});
