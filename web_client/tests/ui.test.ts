// SPDX-License-Identifier: AGPL-3.0-or-later
// @vitest-environment happy-dom
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { GenerateRequest, Job } from '../src/protocol';
import { arrange, el } from '../src/ui/dom';
import { flagText, knownFlags } from '../src/ui/flags';
import { JobList, remaining } from '../src/ui/jobs';
import { PromptBox } from '../src/ui/prompt';
import { codeOf } from '../src/ui/sounddetails';
import { matches, SoundList } from '../src/ui/soundlist';
import { facts, keyName } from '../src/ui/soundrow';
import { ConnectionStatus, FADES_MS, StatusLine } from '../src/ui/status';
import { Watcher } from '../src/ui/waveform';
import { sound } from './golden';

let root: HTMLElement;
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
const texts = (selector: string): string[] => [...root.querySelectorAll(selector)].map((found) => found.textContent ?? '');
const button = (label: string): HTMLButtonElement => root.querySelector(`button[aria-label="${label}"]`)!;

beforeEach(() => {
  root = el('div');
  document.body.replaceChildren(root);
});

const renamed: [string, string][] = [];

const aList = (played: string[] = []): SoundList =>
  new SoundList(root, {
    preview: (url, onEnded) => {
      played.push(url);
      return onEnded;
    },
    loadOutline: () => Promise.resolve(new Float32Array(4)),
    details: {
      load: () =>
        Promise.resolve({
          pinned: true,
          takes: ['/samples/0.wav', '/samples/1.wav'].map((url, n) => ({ n, url, measured: [`loudness -${13 + n} LUFS`] })),
        }),
      another: () => undefined,
      rename: (name, to) => void renamed.push([name, to]),
      pin: () => Promise.resolve(),
    },
    watcher: new Watcher(),
    remove: () => undefined,
  });

test('a row plays what its bare name plays; every take can be heard and copied, and the sound renamed', async () => {
  const played: string[] = [];
  const two = sound({ name: 'gen_two', n: 1, urls: ['/samples/0.wav', '/samples/1.wav'], strudel: 's("gen_two:1").loopAt(2)' });
  aList(played).reset([two]);
  button('Listen to gen_two').click();
  expect(played).toEqual(['/samples/0.wav']);
  expect(button('Copy the code that plays gen_two').title).toBe('s("gen_two").loopAt(2)');
  root.querySelector('details')!.open = true;
  await vi.waitFor(() => expect(button('Listen to gen_two:1')).not.toBeNull());
  button('Listen to gen_two:1').click();
  expect(played).toEqual(['/samples/0.wav', '/samples/1.wav']);
  expect(codeOf(two, 1)).toBe('s("gen_two:1").loopAt(2)');
  expect([...root.querySelectorAll('.tools button')].map((each) => each.textContent)).toEqual(['Another one', 'Unpin', 'Rename']);
  const name = root.querySelector<HTMLInputElement>('.rename input')!;
  name.value = 'gen_other';
  root.querySelector('form')!.requestSubmit();
  expect(renamed).toEqual([['gen_two', 'gen_other']]);
});

describe('the list of sounds', () => {
  test('text from people is text: markup in a prompt makes no element', () => {
    const evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    aList().reset([sound({ prompt: evil, licence: evil, engine: evil, flags: [evil], key: evil })]);
    expect(texts('.prompt')).toEqual([evil]);
    expect(root.querySelectorAll('img, script')).toHaveLength(0);
  });

  test('the newest is on top; what changes keeps its place; what is removed goes', async () => {
    const list = aList();
    list.reset([sound({ name: 'gen_b', seq: 2 }), sound({ name: 'gen_a', seq: 1 })]);
    list.change('gen_c', sound({ name: 'gen_c', seq: 3 }));
    list.change('gen_a', sound({ name: 'gen_a', seq: 4, prompt: 'better' }));
    await settle();
    expect(texts('.name')).toEqual(['gen_c', 'gen_b', 'gen_a']);
    expect(texts('.prompt')[2]).toBe('better');
    list.change('gen_b', null);
    await settle();
    expect(texts('.name')).toEqual(['gen_c', 'gen_a']);
  });

  test('a long list is shown in parts', () => {
    aList().reset(Array.from({ length: 300 }, (_, i) => sound({ name: `gen_s${i}`, seq: i })));
    expect(root.querySelectorAll('.sound')).toHaveLength(120);
    root.querySelector<HTMLButtonElement>('.more')!.click();
    expect(root.querySelectorAll('.sound')).toHaveLength(240);
    expect(texts('.count')).toEqual(['300']);
  });

  test('the box finds by name, alias, words and facts', () => {
    const kick = sound({ name: 'gen_kick', aliases: ['bd'], prompt: 'deep 808', kind: 'oneshot', bpm: null, key: 'fm' });
    for (const query of ['kick', 'bd', '808 DEEP', 'f minor', 'oneshot cc0']) expect(matches(kick, query)).toBe(true);
    for (const query of ['snare', 'kick loop']) expect(matches(kick, query)).toBe(false);
  });

  test('play plays what the bare name plays, and a second press stops it', () => {
    const played: string[] = [];
    aList(played).reset([sound({ name: 'gen_a', n: 1, urls: ['/samples/0.wav', '/samples/1.wav'] })]);
    button('Listen to gen_a').click();
    expect(played).toEqual(['/samples/0.wav']);
    button('Stop gen_a').click();
    expect(button('Listen to gen_a')).not.toBeNull();
  });

  test('facts are said as a player says them', () => {
    expect(facts(sound({ key: 'f#m', root: 'c3' }))).toEqual(
      ['loop', '2 bars', '92 bpm', 'F♯ minor', 'root c3', '5.22 s', 'procedural'],
    );
    expect([4, 0.1234, 30.04].map((seconds) => facts(sound({ seconds })).at(-2))).toEqual(['4 s', '0.123 s', '30 s']);
    expect(['c', 'bbm', 'fsm', 'C minor'].map(keyName)).toEqual(['C major', 'B♭ minor', 'F♯ minor', 'C minor']);
  });

  test('a licence that forbids commercial use stands out; a stand-in says that it is one', () => {
    aList().reset([sound({ commercial: false, licence: 'CC-BY-NC-4.0', standin: true })]);
    expect(texts('.restricted')).toEqual(['CC-BY-NC-4.0, not commercial']);
    expect(texts('.badge')).toContain('stand-in');
  });

  test('what the quality gate noticed is said in words, with a sentence in the tooltip', () => {
    aList().reset([sound({ flags: ['no_pitch', 'not_yet_known'] })]);
    const flags = [...root.querySelectorAll<HTMLElement>('.badge.flag')];
    expect(flags.map(({ textContent, title }) => [textContent, title])).toEqual([
      ['no steady pitch', 'No steady pitch was found, so note() plays it from C.'],
      ['not yet known', ''],
    ]);
  });

  test('every flag of the bridge has words here, and the sentence of the bridge', () => {
    const quality = readFileSync(join(import.meta.dirname, '../../bridge/audio/finishing/gate.py'), 'utf8');
    const listed = [...quality.matchAll(/^\| ``(\w+)`` \| (.+) \|$/gm)].map(([, flag = '', sentence = '']) => [flag, sentence.replaceAll('``', '')]);
    expect(listed.length).toBeGreaterThan(20);
    expect(knownFlags().map((flag) => [flag, flagText(flag).sentence])).toEqual(listed);
    for (const flag of knownFlags()) expect(flagText(flag).label).not.toContain('_');
    expect(flagText('constructor')).toEqual({ label: 'constructor', sentence: '' });
  });
});

describe('the prompt box', () => {
  const aBox = (answer: string | null = null): { asked: GenerateRequest[]; left: () => number } => {
    const asked: GenerateRequest[] = [];
    let left = 0;
    new PromptBox(root, {
      generate: (request) => {
        asked.push(request);
        return Promise.resolve(answer);
      },
      leave: () => (left += 1),
    });
    return { asked, left: () => left };
  };
  const fill = (selector: string, value: string): void => void (root.querySelector<HTMLInputElement>(selector)!.value = value);
  const submit = (): void => root.querySelector<HTMLButtonElement>('button[type=submit]')!.click();

  test('only what was filled in is sent', async () => {
    const { asked } = aBox();
    fill('.words', '  dusty break ');
    submit();
    fill('select', 'loop');
    fill('input[type=number]', '92');
    fill('.options input[type=text]', 'F minor');
    submit();
    await settle();
    expect(asked).toEqual([{ prompt: 'dusty break' }, { prompt: 'dusty break', kind: 'loop', bpm: 92, key: 'F minor' }]);
  });

  test('an empty prompt is not sent, and the reason of a refusal is read out', async () => {
    const { asked } = aBox('The queue is full.');
    submit();
    expect(asked).toEqual([]);
    expect(texts('[role=alert]')).toEqual(['Say in a few words what you want to hear.']);
    fill('.words', 'kick');
    submit();
    await settle();
    expect(texts('[role=alert]')).toEqual(['The queue is full.']);
  });

  test('a prompt that is too long is kept, refused and counted, and not cut', async () => {
    const { asked } = aBox();
    fill('.words', '🥁'.repeat(501));
    submit();
    expect(asked).toEqual([]);
    expect(texts('[role=alert]')[0]).toMatch(/at most 500 characters .* 501/);
    fill('.words', '🥁'.repeat(500));
    submit();
    await settle();
    expect(asked.map(({ prompt }) => prompt)).toEqual(['🥁'.repeat(500)]);
    expect(root.querySelector<HTMLInputElement>('.words')!.maxLength).toBe(-1);
  });

  test.each(['.words', 'select', 'input[type=number]', '.options input[type=text]'])(
    'editing %s takes the problem away',
    (field) => {
      aBox();
      submit();
      expect(texts('[role=alert]')[0]).not.toBe('');
      root.querySelector(field)!.dispatchEvent(new Event('input', { bubbles: true }));
      expect(texts('[role=alert]')).toEqual(['']);
    },
  );

  test('Escape leaves', () => {
    const { left } = aBox();
    root.querySelector('.words')!.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
    expect(left()).toBe(1);
  });
});

describe('what is being made', () => {
  const job = (fields: Partial<Job> = {}): Job => ({
    seq: null,
    job_id: 'gen_1',
    name: 'gen_a',
    n: 0,
    state: 'running',
    progress: 0.25,
    eta_s: 3.2,
    error: null,
    session: null,
    ...fields,
  });

  test('progress moves, and the row goes when the sound is there', () => {
    const list = new JobList(root, () => undefined);
    list.update(job());
    expect(texts('.state')).toEqual(['about 4 s left']);
    expect(root.querySelector('progress')?.value).toBe(0.25);
    list.update(job({ state: 'completed', progress: 1 }));
    expect(root.querySelectorAll('.job')).toHaveLength(0);
  });

  test('cancel names the job', () => {
    const cancelled: string[] = [];
    new JobList(root, (id) => cancelled.push(id)).update(job());
    button('Cancel gen_a').click();
    expect(cancelled).toEqual(['gen_1']);
  });

  test('a failure stays, with its reason, until it is dismissed', () => {
    const list = new JobList(root, () => undefined);
    list.update(job());
    list.update(job({ state: 'failed', error: { code: 'engine_failed', message: 'It <b>broke</b>.' } }));
    list.clear();
    expect(texts('.state')).toEqual(['It <b>broke</b>.']);
    button('Dismiss gen_a').click();
    expect(root.querySelectorAll('.job')).toHaveLength(0);
  });

  test('many jobs are counted, what runs is shown first', () => {
    const list = new JobList(root, () => undefined);
    for (let i = 0; i < 8; i += 1) list.update(job({ job_id: `gen_${i}`, name: `gen_${i}`, state: i === 6 ? 'running' : 'queued' }));
    expect(texts('.name')[0]).toBe('gen_6');
    expect(texts('.rest')).toEqual(['and 4 more in the queue']);
  });

  test('time left is rounded to what matters', () => {
    expect([null, 0.4, 3.2, 240].map(remaining)).toEqual(['', 'nearly there', 'about 4 s left', 'about 4 min left']);
  });
});

test('the connection says its state, the engine and why', () => {
  const status = new ConnectionStatus(root, () => undefined);
  status.showServer({ version: '1', engine: 'procedural', device: 'cpu', why: 'There is no GPU.' });
  status.show('online', '');
  expect(root.textContent).toContain('Connected');
  expect(root.textContent).toContain('procedural on cpu');
  expect(root.textContent).toContain('There is no GPU.');
  status.show('offline', 'Start it.');
  expect(texts('.why')).toEqual(['Start it.']);
});

test('the status line takes back only what it still shows', () => {
  const line = new StatusLine(root);
  line.say('Making gen_a …');
  line.takeBack('Making gen_b …');
  expect(texts('.statusline')).toEqual(['Making gen_a …']);
  line.takeBack('Making gen_a …');
  expect(texts('.statusline')).toEqual(['']);
});

test('a harmless message fades and pushes out no error; the console keeps everything with its count', () => {
  vi.useFakeTimers();
  const line = new StatusLine(root);
  line.say('The sound cannot be read.', true);
  line.mention('Too late for one event.');
  expect(texts('.statusline')).toEqual(['The sound cannot be read.']);
  vi.advanceTimersByTime(FADES_MS * 2);
  expect(texts('.statusline')).toEqual(['The sound cannot be read.']);
  line.say('');
  line.mention('Too late for one event.');
  expect(texts('.statusline')).toEqual(['Too late for one event.']);
  vi.advanceTimersByTime(FADES_MS);
  expect(texts('.statusline')).toEqual(['']);
  vi.useRealTimers();
  root.querySelector<HTMLButtonElement>('.toggle')!.click();
  expect(texts('.messages li span')).toEqual(['×2', 'Too late for one event.', '', 'The sound cannot be read.']);
});

test('arranging keeps what stays in its place', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((id) => el('button', { id }));
  root.append(a!, b!);
  const moved = vi.spyOn(root, 'insertBefore');
  arrange(root, [c!, b!]);
  expect([...root.children].map(({ id }) => id)).toEqual(['c', 'b']);
  // A browser takes the focus from what is moved, even to its own place.
  expect(moved.mock.calls.map(([child]) => child)).toEqual([c]);
});
