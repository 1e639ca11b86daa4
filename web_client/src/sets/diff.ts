// SPDX-License-Identifier: AGPL-3.0-or-later
/** What is different between two texts, line by line. */

export interface DiffLine {
  mark: ' ' | '+' | '-';
  text: string;
}

/** Beyond this many pairs of lines what differs is shown as one block. */
const MOST_PAIRS = 4_000_000;

/** From `before` to `after`. */
export function diff(before: string, after: string): DiffLine[] {
  const a = before.split('\n');
  const b = after.split('\n');
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const same = (text: string): DiffLine => ({ mark: ' ', text });
  return [
    ...a.slice(0, head).map(same),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(same),
  ];
}

/** The longest common subsequence. */
function middle(a: string[], b: string[]): DiffLine[] {
  const out: DiffLine[] = [];
  let i = 0;
  let j = 0;
  if (a.length * b.length <= MOST_PAIRS) {
    const width = b.length + 1;
    const length = new Uint32Array((a.length + 1) * width);
    const at = (row: number, column: number): number => length[row * width + column] ?? 0;
    for (let row = a.length - 1; row >= 0; row--) {
      for (let column = b.length - 1; column >= 0; column--) {
        length[row * width + column] =
          a[row] === b[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
      }
    }
    while (i < a.length && j < b.length) {
      if (a[i] === b[j]) {
        out.push({ mark: ' ', text: a[i++] ?? '' });
        j++;
      } else if (at(i + 1, j) >= at(i, j + 1)) out.push({ mark: '-', text: a[i++] ?? '' });
      else out.push({ mark: '+', text: b[j++] ?? '' });
    }
  }
  for (const text of a.slice(i)) out.push({ mark: '-', text });
  for (const text of b.slice(j)) out.push({ mark: '+', text });
  return out;
}

/** Only what changed, with `around` lines of what did not; null stands for lines that are left out. */
export function shorten(lines: readonly DiffLine[], around = 2): (DiffLine | null)[] {
  const near = lines.map((_, i) => lines.slice(Math.max(0, i - around), i + around + 1).some(({ mark }) => mark !== ' '));
  const out: (DiffLine | null)[] = [];
  lines.forEach((line, i) => {
    if (near[i]) out.push(line);
    else if (out.at(-1) !== null) out.push(null);
  });
  return out;
}
