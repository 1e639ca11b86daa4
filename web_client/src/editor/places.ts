// SPDX-License-Identifier: AGPL-3.0-or-later
/** Where the names of sounds stand in code. */

export interface Place {
  from: number;
  to: number;
}

const COMMENT_OR_TEXT = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;

/** Every place of a name inside the texts of code. A name that a bank was put before is found by its end, where the
 * bank stands in the same line. */
export function placesOf(name: string, code: string): Place[] {
  const whole = wordsIn(code, name);
  if (whole.length > 0) return whole;
  const cut = name.lastIndexOf('_');
  if (cut < 1) return [];
  const banks = wordsIn(code, name.slice(0, cut));
  const sameLine = (a: Place, b: Place): boolean => !code.slice(Math.min(a.to, b.to), Math.max(a.from, b.from)).includes('\n');
  return wordsIn(code, name.slice(cut + 1)).filter((place) => banks.some((bank) => sameLine(place, bank)));
}

function wordsIn(code: string, word: string): Place[] {
  const sought = new RegExp(`(?<![\\w-])${word.replace(/[^\w]/g, '\\$&')}(?![\\w-])`, 'gi');
  return [...code.matchAll(COMMENT_OR_TEXT)].flatMap((text) =>
    text[0].startsWith('/')
      ? []
      : [...text[0].matchAll(sought)].map((found) => {
          const from = text.index + found.index;
          return { from, to: from + word.length };
        }),
  );
}
