// SPDX-License-Identifier: AGPL-3.0-or-later
// @vitest-environment happy-dom
import { code2hash, hash2code } from '@strudel/core/util.mjs';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Kept, SaveAnswer, SetsBridge } from '../src/sets/bridge';
import type { Claims } from '../src/sets/claims';
import { diff, shorten } from '../src/sets/diff';
import { fileName, MOST_FILE_BYTES, readFile, writeAll } from '../src/sets/files';
import { Keeping, NOTHING_KEPT } from '../src/sets/keeping';
import { MemoryKeeper } from '../src/sets/memory';
import { isDirty, MOST_EVALUATIONS, newSet, type Keeper, type LocalSet } from '../src/sets/model';
import { Sets } from '../src/sets/sets';
import { codeToHash, readLink, titleOf, UNREADABLE } from '../src/sets/share';
import { begin, nextName } from '../src/sets/start';

const EXAMPLE = '// example';
const file = (name: string, content: string | Uint8Array<ArrayBuffer>): File => new File([content], name);

/** Tabs of one browser: each set is one tab's. */
class Browser {
  readonly keeper = new MemoryKeeper();
  private readonly held = new Map<string, object>();

  claims(tab: object): Claims {
    return {
      claim: (id) => {
        const free = [undefined, tab].includes(this.held.get(id));
        if (free) this.held.set(id, tab);
        return Promise.resolve(free);
      },
      release: (id) => this.held.delete(id),
    };
  }

  close(tab: object): void {
    for (const [id, holder] of this.held) if (holder === tab) this.held.delete(id);
  }
}

/** A bridge as docs/http-api.md describes it. */
class Server implements SetsBridge {
  readonly kept = new Map<string, Kept & { codes: string[] }>();
  away = false;

  private there(): void {
    if (this.away) throw new Error('The bridge does not answer.');
  }
  list(): Promise<Kept[]> {
    if (this.away) return Promise.reject(new Error('The bridge does not answer.'));
    return Promise.resolve([...this.kept.values()]);
  }
  get(id: string): Promise<Kept> {
    const found = this.kept.get(id);
    return found && !this.away ? Promise.resolve(found) : Promise.reject(new Error('There is no such set.'));
  }
  version(id: string, number: number): Promise<string> {
    return Promise.resolve(this.kept.get(id)?.codes[number - 1] ?? '');
  }
  save(id: string, name: string, code: string, base: number): Promise<SaveAnswer> {
    if (this.away) return Promise.resolve({ why: 'The bridge does not answer.', code: 'offline' });
    const head = this.kept.get(id);
    if (head?.deleted) return Promise.resolve({ why: 'It was deleted.', code: 'set_deleted' });
    if (!head && base) return Promise.resolve({ why: 'There is no such set.', code: 'unknown_set' });
    if (head && head.version !== base) {
      return Promise.resolve({ theirs: { version: head.version, name: head.name, code: head.code }, why: 'Another browser saved it.' });
    }
    const codes = [...(head?.codes ?? []), code];
    const kept = { id, name, code, version: codes.length, saved: 0, deleted: false, damaged: false, versions: [], codes };
    this.kept.set(id, kept);
    return Promise.resolve({ kept });
  }
  remove(id: string): Promise<{ done: true; document: Record<string, unknown> }> {
    this.there();
    const set = this.kept.get(id);
    if (set) set.deleted = true;
    return Promise.resolve({ done: true, document: {} });
  }
  restore(id: string): Promise<{ done: true; document: Record<string, unknown> }> {
    const set = this.kept.get(id);
    if (set) set.deleted = false;
    return Promise.resolve({ done: true, document: {} });
  }
}

interface Tab {
  sets: Sets;
  /** The code in its editor. */
  editor: string;
  said: string[];
  offers: Record<string, () => void>;
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

/** As the editor tells of each change. */
function type(tab: Tab, code: string): void {
  tab.editor = code;
  tab.sets.edited(code);
}

async function open(browser: Browser, server: Server, how: { hash?: string; keeper?: Keeper } = {}): Promise<Tab> {
  const keeper = how.keeper ?? browser.keeper;
  const claims = browser.claims({});
  const begun = await begin(keeper, claims, how.hash ?? '', EXAMPLE);
  const tab: Tab = { editor: begun.set.code, said: begun.said ? [begun.said] : [], offers: {} } as unknown as Tab;
  tab.sets = new Sets(
    {
      keeper,
      claims,
      bridge: server,
      setCode: (code) => {
        tab.editor = code;
        tab.sets.edited(code);
      },
      say: (message) => tab.said.push(message),
      offer: (message, label, act) => {
        tab.said.push(message);
        tab.offers[label] = act;
      },
      onChange: () => undefined,
    },
    begun,
  );
  return tab;
}

beforeEach(() => {
  sessionStorage.clear();
  localStorage.clear();
});

describe('links', () => {
  test("are strudel.cc's own: what @strudel/core writes is read, and the same is written", () => {
    const code = '$: s("bd hh").gain("é 🎹???>>>") // +/=';
    const hash = code2hash(code);
    expect(codeToHash(code)).toBe(hash);
    expect(hash2code(codeToHash(code))).toBe(code);
    expect(readLink(`https://strudel.cc/#${hash}`)).toEqual({ code, name: null });
    expect(readLink(hash)).toEqual({ code, name: null });
    expect(readLink(decodeURIComponent(hash).replaceAll('+', ' '))).toEqual({ code, name: null });
  });

  test('hold long code, and the title of the code is the name', () => {
    const code = `// @title Night bus @by nobody\n${'s("bd")\n'.repeat(100_000)}`;
    expect(readLink(`#${codeToHash(code)}`)).toEqual({ code, name: 'Night bus' });
    expect(titleOf('/* "Night bus" */\n')).toBe('Night bus');
  });

  test.each([
    ['of 5 MB', 'A'.repeat(5_000_000)],
    ['of more than 1 MB of code', codeToHash('x'.repeat(1024 * 1024 + 1))],
    ['of garbage', '%E0%A4%A'],
    ['of garbage that is base64', btoa('\xff\xfe\xfd')],
    ['of binary', btoa('\0\x01\x02')],
    ['of nothing', codeToHash('  \n')],
    ['of words', 'top'],
  ])('%s are a sentence', (_, hash) => {
    const found = readLink(`https://strudel.cc/#${hash}`);
    expect('why' in found && found.why).toMatch(/Your own set is unchanged\.$/);
  });
});

describe('files', () => {
  test('all sets go into one and come back as they were', async () => {
    const sets = [newSet('Friday é', 's("bd")\n'), newSet('"quoted"', '')];
    expect(await readFile(file('sets.json', writeAll(sets)))).toEqual(sets.map(({ name, code }) => ({ name, code })));
    expect(await readFile(file('night bus.js', 's("bd")\r\n'))).toEqual([{ name: 'night bus', code: 's("bd")\n' }]);
    expect(await readFile(file('a.json', '{"other": 1}'))).toEqual([{ name: 'a', code: '{"other": 1}' }]);
    expect(fileName('../a/b: "c"', '.js')).toBe('_a_b_ _c_.js');
  });

  test.each([
    ['a picture', file('p.png', new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 1, 2])), 'is not a text file'],
    ['a large one, unread', { name: 'l.txt', size: 50_000_000, arrayBuffer: () => Promise.reject(new Error('it was read')) }, 'has 48 MB'],
    ['one that went away', { name: 'g.js', size: 3, arrayBuffer: () => Promise.reject(new Error('gone')) }, 'Choose it again'],
    ['long code', file('l.js', 'x'.repeat(MOST_FILE_BYTES / 8)), 'more than 1 MB of code'],
    ['no sets', file('n.json', writeAll([])), 'holds no sets'],
  ])('%s is a sentence', async (_, given, why) => {
    await expect(readFile(given)).rejects.toThrow(why);
  });
});

test('a diff has each line once, in order, and leaves out what is far from a change', () => {
  const before = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].join('\n');
  const after = ['a', 'b', 'X', 'd', 'e', 'f', 'g', 'h'].join('\n');
  const lines = diff(before, after);
  expect(lines.filter(({ mark }) => mark !== '+').map(({ text }) => text)).toEqual(before.split('\n'));
  expect(lines.filter(({ mark }) => mark !== '-').map(({ text }) => text)).toEqual(after.split('\n'));
  expect(lines.filter(({ mark }) => mark !== ' ')).toEqual([
    { mark: '-', text: 'c' },
    { mark: '+', text: 'X' },
    { mark: '+', text: 'h' },
  ]);
  expect(shorten(lines, 1).map((line) => line?.text ?? '…')).toEqual(['…', 'b', 'c', 'X', 'd', '…', 'g', 'h']);
  const many = Array.from({ length: 30_000 }, (_, i) => String(Math.sin(i))).join('\n');
  expect(diff(many, '').filter(({ mark }) => mark === '-')).toHaveLength(30_000);
});

describe('the set of a tab', () => {
  let browser: Browser;
  let server: Server;
  beforeEach(() => {
    browser = new Browser();
    server = new Server();
  });

  test('two tabs have two sets, and a closed one is there again', async () => {
    const one = await open(browser, server);
    expect(one.editor).toBe(EXAMPLE);
    type(one, 'one');
    await one.sets.flush();
    sessionStorage.clear(); // another tab has its own
    const two = await open(browser, server);
    expect(two.editor).toBe(EXAMPLE);
    type(two, 'two');
    await two.sets.flush();
    expect((await browser.keeper.sets()).map(({ code }) => code).sort()).toEqual(['one', 'two']);
  });

  test('a tab that was duplicated goes on in a copy', async () => {
    const one = await open(browser, server);
    type(one, 'one');
    const two = await open(browser, server); // with the draft of the first
    expect(two.editor).toBe('one');
    expect(two.said[0]).toMatch(/open in another tab/);
    type(two, 'two');
    await two.sets.flush();
    await one.sets.flush();
    expect((await browser.keeper.get(one.sets.current.id))?.code).toBe('one');
    expect(two.sets.current.id).not.toBe(one.sets.current.id);
  });

  test('an emptied editor stays empty, also before the database has it', async () => {
    const tab = await open(browser, server);
    await tab.sets.flush();
    type(tab, '');
    const fresh = new Browser();
    Object.assign(fresh, { keeper: browser.keeper });
    expect((await open(fresh, server)).editor).toBe('');
  });

  test('the code of an earlier version is taken over once', async () => {
    localStorage.setItem('sample-bridge.code', 'old\r\nset');
    const tab = await open(browser, server);
    expect([tab.editor, localStorage.getItem('sample-bridge.code')]).toEqual(['old\nset', null]);
    sessionStorage.clear();
    expect((await open(browser, server)).editor).toBe(EXAMPLE);
    expect((await browser.keeper.sets()).map(({ code }) => code)).toEqual(['old\nset']);
  });

  test('a link opens as a set of its own, once; a bad one changes nothing', async () => {
    const tab = await open(browser, server);
    type(tab, 'mine');
    await tab.sets.flush();
    await tab.sets.openLink(`https://strudel.cc/#${codeToHash('// @title Theirs\ntheirs')}`);
    expect([tab.editor, tab.sets.current.name]).toEqual(['// @title Theirs\ntheirs', 'Theirs']);
    const { id } = tab.sets.current;
    await tab.sets.openLink(codeToHash('// @title Theirs\ntheirs'));
    await tab.sets.openLink('#garbage!');
    expect(tab.said.at(-1)).toBe(UNREADABLE);
    expect(tab.sets.current.id).toBe(id);
    expect((await tab.sets.local()).map(({ code }) => code).sort()).toEqual(['// @title Theirs\ntheirs', 'mine']);
    const other = await open(browser, server, { hash: `#${'A'.repeat(5_000_000)}` });
    expect(other.said.at(-1)).toMatch(/holds about 3\.6 MB/);
  });

  test('every evaluation is kept before it runs, and code that is replaced too', async () => {
    const tab = await open(browser, server);
    for (const code of ['one', 'two', 'two', 'while (true) {}']) await tab.sets.evaluating(code);
    type(tab, 'typed, never played');
    await tab.sets.bringBack('one');
    expect(tab.editor).toBe('one');
    const history = await tab.sets.history();
    expect(history.map(({ code }) => code)).toEqual(['typed, never played', 'while (true) {}', 'two', 'one']);
    for (let i = 0; i < MOST_EVALUATIONS + 5; i++) await tab.sets.evaluating(`code ${i}`);
    expect(await tab.sets.history()).toHaveLength(MOST_EVALUATIONS);
  });

  test('what is typed while a set is opened stays with the set it was typed into', async () => {
    const tab = await open(browser, server);
    type(tab, 'first');
    const { id } = tab.sets.current;
    const opening = tab.sets.create();
    type(tab, 'first and more');
    await opening;
    await tab.sets.flush();
    expect((await browser.keeper.get(id))?.code).toBe('first and more');
    expect(tab.editor).toBe('');
  });

  test('a set of another browser is found on the bridge; of two who save, the second keeps all', async () => {
    const here = await open(browser, server);
    type(here, 'v1');
    here.sets.rename('Friday');
    await here.sets.save();
    expect(isDirty(here.sets.current)).toBe(false);
    sessionStorage.clear();
    const there = await open(new Browser(), server);
    const { rows } = await there.sets.list();
    expect(rows.map(({ name, here: local, version }) => [name, local, version])).toContainEqual(['Friday', false, 1]);
    await there.sets.open(here.sets.current.id);
    expect([there.editor, there.sets.current.base]).toEqual(['v1', 1]);
    here.sets.rename('Saturday');
    type(here, 'mine');
    await here.sets.save();
    there.sets.rename('Sunday');
    type(there, 'theirs');
    await there.sets.save();
    expect(there.sets.conflict?.theirs).toEqual({ version: 2, name: 'Saturday', code: 'mine' });
    expect([there.editor, there.sets.current.name]).toEqual(['theirs', 'Sunday']);
    await there.sets.settle('ours');
    expect(server.kept.get(here.sets.current.id)?.codes).toEqual(['v1', 'mine', 'theirs']);
    type(here, 'mine again');
    await here.sets.save();
    await here.sets.settle('copy');
    expect(here.sets.current.id).not.toBe(there.sets.current.id);
    expect([...server.kept.values()].map(({ codes }) => codes.at(-1))).toEqual(['theirs', 'mine again']);
    await here.sets.open(there.sets.current.id);
    type(here, 'once more');
    type(there, 'by them');
    await there.sets.save();
    await here.sets.save();
    await here.sets.settle('theirs');
    expect(here.editor).toBe('by them');
    expect((await here.sets.history())[0]?.code).toBe('once more');
  });

  test('what the disk of the bridge has damaged is said, and takes nothing from a browser that has it', async () => {
    const here = await open(browser, server);
    type(here, 'v1');
    await here.sets.save();
    type(here, 'v2');
    await here.sets.save();
    const { id } = here.sets.current;
    const kept = server.kept.get(id)!;
    server.kept.set(id, { ...kept, version: 1, code: 'v1', damaged: true });
    await here.sets.create();
    await here.sets.open(id);
    expect(here.editor).toBe('v2');
    sessionStorage.clear();
    const there = await open(new Browser(), server);
    await there.sets.open(id);
    expect([there.editor, there.said.at(-1)]).toEqual([
      'v1',
      'The newest version of "Set 1" is damaged on the bridge\'s disk; this is version 1.',
    ]);
  });

  test('without the bridge everything of this browser works, and a sentence says so', async () => {
    server.away = true;
    const tab = await open(browser, server);
    type(tab, 'mine');
    await tab.sets.save();
    const { rows, why } = await tab.sets.list();
    expect([rows.length, why, tab.said.at(-1)]).toEqual([1, 'The bridge does not answer.', 'The bridge does not answer.']);
    await tab.sets.duplicate();
    expect((await tab.sets.local()).length).toBe(2);
  });

  test('a deleted set comes back, here and on the bridge', async () => {
    const tab = await open(browser, server);
    type(tab, 'mine');
    await tab.sets.save();
    const { id } = tab.sets.current;
    await tab.sets.remove(id, 1);
    expect([tab.editor, server.kept.get(id)?.deleted]).toEqual(['', true]);
    expect((await tab.sets.list()).rows.map((row) => row.id)).not.toContain(id);
    tab.offers['Undo']?.();
    await settle();
    expect(server.kept.get(id)?.deleted).toBe(false);
    await tab.sets.open(id);
    expect(tab.editor).toBe('mine');
  });

  test('imported files become sets; a bad one is a sentence and the editor stays', async () => {
    const tab = await open(browser, server);
    type(tab, 'mine');
    await tab.sets.importFiles([file('bad.wav', new Uint8Array([0, 1, 2]))]);
    expect([tab.editor, tab.said.at(-1)]).toEqual(['mine', '"bad.wav" is not a text file, so it holds no code. Nothing was imported.']);
    await tab.sets.importFiles([file('all.json', writeAll([newSet('a', '1'), newSet('b', '2')]))]);
    expect([tab.editor, tab.said.at(-1)]).toEqual(['mine', '2 sets are imported.']);
    await tab.sets.importFiles([file('one.js', '3')]);
    expect([tab.editor, tab.sets.current.name]).toEqual(['3', 'one']);
  });

  test('a browser that keeps nothing, or nothing more, is said once, and the tab goes on', async () => {
    const told = vi.fn();
    const full: Keeper = Object.assign(new MemoryKeeper(), { put: () => Promise.reject(new Error('QuotaExceededError')) });
    for (const inside of [null, full]) {
      told.mockClear();
      const keeper = new Keeping(inside, told);
      const tab = await open(new Browser(), server, { keeper });
      await tab.sets.evaluating('one');
      await tab.sets.evaluating('two');
      expect((await tab.sets.history()).map(({ code }) => code)).toEqual(['two', 'one']);
      expect(await keeper.get(tab.sets.current.id)).toMatchObject({ code: 'two' });
      expect(told.mock.calls).toEqual([[NOTHING_KEPT]]);
      sessionStorage.clear();
    }
  });

  test('names count up', () => {
    const named = (name: string): LocalSet => newSet(name, '');
    expect(nextName([named('Set 1'), named('Set 3')], 'Set')).toBe('Set 2');
  });
});
