// SPDX-License-Identifier: AGPL-3.0-or-later
import { describe, expect, it, test } from 'vitest';
// @ts-expect-error: the parser alone, as the package ships it; the whole package needs a browser.
import { parse } from '../node_modules/@strudel/mini/krill-parser.js';
import { explain, type Language } from '../src/editor/faults';
import { readLog } from '../src/editor/log';
import { placesOf } from '../src/editor/places';
import { edits, nearest } from '../src/editor/spelling';

const language: Language = {
  parseMini: parse as (text: string) => unknown,
  methods: () => ['room', 'gain', 'lpf', 'slow', 'fast', 'delay'],
  names: () => ['note', 'stack', 'setcpm', 'sound'],
  transpile: (code) => code,
};

/** What is marked, and what is said of it. */
function fault(code: string, error?: Error): [string, string, string[]] {
  let thrown = error ?? null;
  try {
    if (!thrown) new Function(code);
  } catch (caught) {
    thrown = caught as Error;
  }
  const found = explain(thrown ?? new Error('nothing'), code, language);
  return found ? [code.slice(found.from, found.to), found.message, found.instead] : ['', '', []];
}

const syntax = (code: string, pos: number, message: string): [string, string, string[]] =>
  fault(code, Object.assign(new SyntaxError(message), { pos }));
const mini = (text: string): [string, string, string[]] => fault(`$: s("bd")\n$: s("${text}")`, new Error('[mini] parse error at line 2: Expected …'));

describe('a fault in code', () => {
  it('is the bracket that is never closed, not the end of the code', () => {
    expect(syntax('$: s("bd(")\n$: s("hh").gain(.5', 32, 'Unexpected token (2:20)').slice(0, 2)).toEqual(['(', 'This ( is never closed: ) is missing.']);
    expect(syntax('s("bd").gain(.5))', 16, 'Unexpected token (1:16)')[1]).toMatch(/closes nothing/);
  });

  it('is the word that is not expected, or the text without an end', () => {
    expect(syntax('note("c") stack(1)', 10, 'Unexpected token (1:10)')[0]).toBe('stack');
    expect(syntax('s("bd\n.gain(1)', 2, 'Unterminated string constant (1:2)').slice(0, 2)).toEqual(['"bd', 'This text has no closing quote.']);
  });

  it('of an unknown function names the nearest one', () => {
    expect(fault('s("romo").romo(.5)', new TypeError('s(...).romo is not a function'))).toEqual(['romo', 'There is no function called romo. Did you mean room?', ['room']]);
    expect(fault('// setcpn\nsetcpn(30)', new ReferenceError('setcpn is not defined'))).toEqual(['setcpn', 'There is nothing called setcpn. Did you mean setcpm?', ['setcpm']]);
    expect(fault('s("a").zzzzz()', new TypeError('s(...).zzzzz is not a function'))[2]).toEqual([]);
  });

  it('in mini-notation is a place inside the text and a short sentence', () => {
    expect(mini('bd [sd hh').slice(0, 2)).toEqual(['[', 'This [ is never closed: ] is missing.']);
    expect(mini('bd sd]').slice(0, 2)).toEqual([']', 'This ] closes nothing: its [ is missing.']);
    expect(mini('<a b]').slice(0, 2)).toEqual(['<a b]', '< is closed by ]. Close it with >.']);
    expect(mini('bd = sd').slice(0, 2)).toEqual(['=', '“=” cannot stand here in mini-notation.']);
    expect(mini('hh bd*').slice(0, 2)).toEqual(['bd*', 'Something is missing after “bd*”.']);
  });

  it('that happens while the code runs marks its statement', () => {
    const error = Object.assign(new TypeError("Cannot read properties of undefined (reading 'x')"), {
      stack: 'TypeError: …\n    at eval (eval at safeEval (index.js:1:1), <anonymous>:4:9)',
    });
    expect(fault('setcpm(30)\nnote(1)[0].y.x\nstack(2)', error)[0]).toBe('note(1)[0].y.x');
  });

  it('that quotes a text marks that text', () => {
    expect(fault("samples('github:nobody/none')\n$: s('x')", new Error('error loading "github:nobody/none"'))[0]).toBe('github:nobody/none');
  });
});

describe('the nearest name', () => {
  it('is two edits away at most, one when it is short, and never in digits', () => {
    expect(edits('paino', 'piano')).toBe(1);
    expect(nearest('gen_electric_paino', ['gen_electric_piano', 'gen_piano'])).toEqual(['gen_electric_piano']);
    expect(nearest('gain', ['gain'])).toEqual([]);
    expect(nearest('lpff', ['lpf', 'hpf'])).toEqual(['lpf']);
    expect(nearest('tr808', ['tr909', 'tr80'])).toEqual([]);
  });
});

test('the places of a name are texts of the code, not its comments; a name of a bank is found by its end', () => {
  const code = '// gen_kick\n$: s("gen_kick*4 gen_kick2 bd").bank("tr909")\n$: s(\'gen_kick:2\')';
  const found = (name: string): string[] => placesOf(name, code).map(({ from, to }) => `${from} ${code.slice(from, to)}`);
  expect(found('gen_kick')).toEqual(['18 gen_kick', '64 gen_kick']);
  expect(found('tr909_bd')).toEqual(['39 bd']);
  expect(found('tr909_sd')).toEqual([]);
});

test("Strudel's log is told in words, and what is harmless is known", () => {
  expect(readLog('[getTrigger] error: sound gem_kick not found! Is it loaded?')).toEqual({ kind: 'missing', name: 'gem_kick' });
  expect(readLog('[sampler] error: loading sound "gen_bell:0" took too long')).toEqual({
    kind: 'harmless',
    message: 'gen_bell was not loaded in time for one event. It plays from the next.',
  });
  expect(readLog('[webaudio] duck target orbit 3 does not exist', 'error')?.kind).toBe('harmless');
  expect(readLog('[eval] error: x is not defined', 'error')).toBeNull();
  expect(readLog('[cyclist] start')).toBeNull();
});
