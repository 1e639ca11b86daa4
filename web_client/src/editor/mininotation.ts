// SPDX-License-Identifier: AGPL-3.0-or-later
/** What is wrong in a text in mini-notation, and where. */

/** Strudel's own parser: throws an error that says what it found, and where; the text is given in quotes. */
export type ParseMini = (quoted: string) => unknown;

export interface Fault {
  /** Characters from the start of the text. */
  from: number;
  to: number;
  /** A sentence for the player. */
  message: string;
}

const PAIRS: Readonly<Record<string, string>> = { '[': ']', '<': '>', '{': '}', '(': ')' };
const CLOSING = new Set(Object.values(PAIRS));

/** Null when the text can be read. */
export function miniFault(text: string, parse: ParseMini): Fault | null {
  try {
    parse(`"${text}"`);
    return null;
  } catch (error) {
    return bracketFault(text) ?? placeFault(text, error);
  }
}

/** A bracket without its other half explains whatever the parser says. */
function bracketFault(text: string): Fault | null {
  const open: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at] ?? '';
    if (sign in PAIRS) open.push(at);
    if (!CLOSING.has(sign)) continue;
    const start = open.pop();
    if (start === undefined) return { from: at, to: at + 1, message: `This ${sign} closes nothing: its ${opener(sign)} is missing.` };
    const wanted = PAIRS[text[start] ?? ''] ?? '';
    if (wanted !== sign) return { from: start, to: at + 1, message: `${text[start]} is closed by ${sign}. Close it with ${wanted}.` };
  }
  const start = open.pop();
  if (start === undefined) return null;
  const sign = text[start] ?? '';
  return { from: start, to: start + 1, message: `This ${sign} is never closed: ${PAIRS[sign]} is missing.` };
}

function placeFault(text: string, error: unknown): Fault {
  const { location, found } = error as { location?: { start?: { offset?: number } }; found?: string | null };
  // The parser counts from the opening quote.
  const at = Math.max(0, (location?.start?.offset ?? 1) - 1);
  if (at >= text.length || found === null || found === undefined) {
    const end = text.trimEnd().length;
    const last = text.trimEnd().split(/\s+/).at(-1) ?? '';
    const message = last ? `Something is missing after “${last}”.` : 'This text is empty.';
    return { from: Math.max(0, end - last.length), to: end, message };
  }
  return { from: at, to: at + 1, message: `“${text[at]}” cannot stand here in mini-notation.` };
}

const opener = (sign: string): string => Object.keys(PAIRS).find((open) => PAIRS[open] === sign) ?? '';
