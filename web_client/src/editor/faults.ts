// SPDX-License-Identifier: AGPL-3.0-or-later
/** What is wrong with code that could not be evaluated: the place, a sentence for the player, what to write instead. */
import { parse, type Node } from 'acorn';
import { miniFault, type Fault, type ParseMini } from './mininotation';
import { nearest } from './spelling';

export interface CodeFault extends Fault {
  /** What may have been meant in the place of the marked text. */
  instead: string[];
}

/** What the language around the code knows. */
export interface Language {
  parseMini: ParseMini;
  /** Names of what can be called on a pattern. */
  methods: () => Iterable<string>;
  /** Names that stand for something in code. */
  names: () => Iterable<string>;
  /** What the browser is given to run. */
  transpile: (code: string) => string;
}

const OPTIONS = { ecmaVersion: 2022, allowAwaitOutsideFunction: true } as const;
/** `new Function` puts this many lines in front of what it runs. */
const LINES_AHEAD = 2;

/** Null when the place is unknown; then the error's own message has to do. */
export function explain(error: Error & { pos?: number }, code: string, language: Language): CodeFault | null {
  if (typeof error.pos === 'number') return { ...syntaxFault(error.message, error.pos, code), instead: [] };
  const program = parsed(code);
  if (!program) return null;
  return (
    miniFaults(error, code, program, language) ??
    namedFault(error, program, language) ??
    quotedFault(error, code, program) ??
    statementFault(error, code, program, language)
  );
}

function parsed(code: string): Node | null {
  try {
    return parse(code, OPTIONS);
  } catch {
    return null;
  }
}

// ------------------------------------------------------------------ what cannot be read

function syntaxFault(said: string, pos: number, code: string): Fault {
  const message = said.replace(/ \(\d+:\d+\)$/, '');
  if (message.startsWith('Unterminated string')) return lineFrom(code, pos, 'This text has no closing quote.');
  if (message === 'Unterminated template') return lineFrom(code, Math.max(0, pos - 1), 'This text has no closing backtick.');
  if (message === 'Unterminated comment') return lineFrom(code, pos, 'This comment is never closed: */ is missing.');
  const bracket = bracketFault(code);
  if (bracket) return bracket;
  if (pos >= code.trimEnd().length) {
    const end = code.trimEnd().length;
    return { from: Math.max(0, end - 1), to: end, message: 'The code ends too early: something is missing here.' };
  }
  const word = /^(?:[\w$]+|.)/su.exec(code.slice(pos))?.[0] ?? '';
  const sentence = message.startsWith('Unexpected')
    ? `“${word}” is not expected here. Is a comma, a dot, a bracket or $: missing in front of it?`
    : `${message}.`;
  return { from: pos, to: pos + word.length, message: sentence };
}

function lineFrom(code: string, from: number, message: string): Fault {
  const end = code.indexOf('\n', from);
  return { from, to: end < 0 ? code.length : end, message };
}

const PAIRS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };
/** Comments and texts, in which brackets mean nothing. */
const PASSED = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|[()[\]{}]/g;

function bracketFault(code: string): Fault | null {
  const open: { sign: string; at: number }[] = [];
  for (const found of code.matchAll(PASSED)) {
    const sign = found[0];
    if (sign in PAIRS) {
      open.push({ sign, at: found.index });
    } else if (sign.length === 1) {
      const start = open.pop();
      const here = { from: found.index, to: found.index + 1 };
      if (!start) return { ...here, message: `This ${sign} closes nothing: there is one too many, or its partner is missing.` };
      if (PAIRS[start.sign] !== sign) {
        return { from: start.at, to: start.at + 1, message: `This ${start.sign} is not closed before ${sign}: ${PAIRS[start.sign]} is missing.` };
      }
    }
  }
  const start = open.pop();
  return start ? { from: start.at, to: start.at + 1, message: `This ${start.sign} is never closed: ${PAIRS[start.sign]} is missing.` } : null;
}

// ------------------------------------------------------------------ mini-notation

function miniFaults(error: Error, code: string, program: Node, language: Language): CodeFault | null {
  if (!error.message.includes('[mini]')) return null;
  for (const { from, to } of texts(program, code)) {
    const fault = miniFault(code.slice(from, to), language.parseMini);
    if (fault) return { from: from + fault.from, to: from + fault.to, message: fault.message, instead: [] };
  }
  return null;
}

/** The texts that are mini-notation, without their quotes: first those that the transpiler reads, then plain ones. */
function texts(program: Node, code: string): { from: number; to: number }[] {
  const read: { from: number; to: number }[] = [];
  const plain: { from: number; to: number }[] = [];
  walk(program, (node) => {
    const inside = { from: node.start + 1, to: node.end - 1 };
    if (node.type === 'Literal' && code[node.start] === '"') read.push(inside);
    else if (node.type === 'Literal' && code[node.start] === "'") plain.push(inside);
    else if (node.type === 'TemplateLiteral') read.push(inside);
  });
  return [...read, ...plain];
}

// ------------------------------------------------------------------ names

function namedFault(error: Error, program: Node, language: Language): CodeFault | null {
  const undefinedName = /^(?:Can't find variable: )?([\w$]+)(?: is not defined)?$/.exec(error.message)?.[1];
  if (error.name === 'ReferenceError' && undefinedName) {
    const place = first(program, (node) => (node as Named).type === 'Identifier' && (node as Named).name === undefinedName);
    if (!place) return null;
    const instead = nearest(undefinedName, language.names());
    return { ...range(place), message: sentence(`There is nothing called ${undefinedName}.`, instead), instead };
  }
  const called = /([\w$]+) is not a function/.exec(error.message)?.[1];
  if (!called) return null;
  const method = first(program, (node) => propertyOf(node, called) !== null);
  const place = method ? propertyOf(method, called) : first(program, (node) => (node as Named).name === called);
  if (!place) return null;
  const instead = nearest(called, method ? language.methods() : language.names());
  return { ...range(place), message: sentence(`There is no function called ${called}.`, instead), instead };
}

type Named = Node & { name?: string };
type Member = Node & { computed?: boolean; property?: Named };

function propertyOf(node: Node, name: string): Node | null {
  const { type, computed, property } = node as Member;
  return type === 'MemberExpression' && !computed && property?.name === name ? property : null;
}

export function sentence(problem: string, instead: string[]): string {
  return instead.length > 0 ? `${problem} Did you mean ${instead.join(' or ')}?` : problem;
}

/** A text of the code that the error quotes, such as an address that does not answer. */
function quotedFault(error: Error, code: string, program: Node): CodeFault | null {
  for (const [, quoted = ''] of error.message.matchAll(/["'“]([^"'”]{2,})["'”]/g)) {
    for (const { from, to } of texts(program, code)) {
      if (code.slice(from, to).includes(quoted)) return { from, to, message: error.message, instead: [] };
    }
  }
  return null;
}

// ------------------------------------------------------------------ the rest

/** The statement in which it happened, by the line of the code that was run: the transpiler keeps their order. */
function statementFault(error: Error, code: string, program: Node, language: Language): CodeFault | null {
  if (error.message.startsWith('unexpected ast format')) {
    const last = body(program).at(-1);
    const message = 'Code ends with a pattern, not with a declaration. Add a line such as $: s("bd").';
    return last ? { ...firstLine(last, code), message, instead: [] } : null;
  }
  const line = /(?:<anonymous>|Function):(\d+):\d+/.exec(error.stack ?? '')?.[1];
  if (line === undefined) return null;
  const run = language.transpile(code);
  // The last statement of what is run is a `return`, which only a function may have.
  const statements = body(parse(run, { ...OPTIONS, allowReturnOutsideFunction: true, locations: true }));
  const number = Number(line) - LINES_AHEAD;
  const index = statements.findIndex(({ loc }) => loc && loc.start.line <= number && number <= loc.end.line);
  const statement = body(program)[index];
  return statement ? { ...firstLine(statement, code), message: plain(error.message), instead: [] } : null;
}

/** Strudel's and the browser's messages without the names of their parts. */
export const plain = (message: string): string => message.replace(/^\[[\w ]+\]\s*(?:error:\s*)?/, '');

const body = (program: Node): Node[] => (program as Node & { body: Node[] }).body;
const range = ({ start, end }: Node): { from: number; to: number } => ({ from: start, to: end });

function firstLine({ start, end }: Node, code: string): { from: number; to: number } {
  const newline = code.indexOf('\n', start);
  return { from: start, to: newline < 0 ? end : Math.min(newline, end) };
}

function first(root: Node, fits: (node: Node) => boolean): Node | null {
  let found: Node | null = null;
  walk(root, (node) => {
    if (fits(node) && (!found || node.start < found.start)) found = node;
  });
  return found;
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child === 'object' && child !== null && typeof (child as Node).type === 'string') walk(child as Node, visit);
    }
  }
}
