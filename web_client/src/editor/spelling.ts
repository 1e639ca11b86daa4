// SPDX-License-Identifier: AGPL-3.0-or-later
/** What somebody meant to type. */

/** Edits that turn `a` into `b`: letters put in, left out, wrong, or two that changed places. Above `most` it may be any larger number. */
export function edits(a: string, b: string, most = 2): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(least);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}

const digits = (name: string): string => name.replace(/\D+/g, ' ');

/** Up to `limit` of `known` that are at most two edits away, one where there are fewer than six letters; the likest
 * first. A digit is never a typing error. */
export function nearest(name: string, known: Iterable<string>, limit = 3): string[] {
  const low = name.toLowerCase();
  const most = low.length < 6 ? 1 : 2;
  const found: { away: number; other: string }[] = [];
  for (const other of new Set(known)) {
    const plain = other.toLowerCase();
    if (plain === low || digits(plain) !== digits(low)) continue;
    const away = edits(low, plain, most);
    if (away <= most) found.push({ away, other });
  }
  const letters = (text: string): string => [...text.toLowerCase()].sort().join('');
  const mixed = ({ other }: { other: string }): number => (letters(other) === letters(low) ? 0 : 1);
  found.sort((a, b) => a.away - b.away || mixed(a) - mixed(b) || a.other.localeCompare(b.other));
  return found.slice(0, limit).map(({ other }) => other);
}
