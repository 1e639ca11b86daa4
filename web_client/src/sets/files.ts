// SPDX-License-Identifier: AGPL-3.0-or-later
/** Sets as files. */
import { asName, bytesOf, lines, MOST_CODE_BYTES, type LocalSet } from './model';
import { asText, titleOf } from './share';

export const MOST_FILE_BYTES = 10 * 1024 * 1024;
const FORMAT = 'sample-bridge.sets';

export interface Written {
  name: string;
  code: string;
}

export interface FileLike {
  name: string;
  size: number;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** A name for a file, on any system. */
export function fileName(name: string, ending: string): string {
  const plain = name.replace(/[^\p{L}\p{N} ._-]+/gu, '_').replace(/^[. ]+|[. ]+$/g, '');
  return `${plain || 'set'}${ending}`;
}

/** Many sets as one file. */
export function writeAll(sets: readonly LocalSet[]): string {
  const written = sets.map(({ name, code, changed }) => ({ name, code, changed: new Date(changed).toISOString() }));
  return JSON.stringify({ format: FORMAT, version: 1, sets: written }, null, 1);
}

/** The sets of a file: code as it is, or what `writeAll` wrote. Throws a sentence. */
export async function readFile(file: FileLike): Promise<Written[]> {
  const what = `"${file.name}"`;
  if (file.size > MOST_FILE_BYTES) {
    throw new Error(`${what} has ${Math.round(file.size / 1024 / 1024)} MB; a file of sets has at most 10 MB. Nothing was imported.`);
  }
  let bytes: ArrayBuffer;
  try {
    bytes = await file.arrayBuffer();
  } catch {
    throw new Error(`${what} cannot be read any more. Choose it again.`);
  }
  const text = asText(new Uint8Array(bytes));
  if (text === null) throw new Error(`${what} is not a text file, so it holds no code. Nothing was imported.`);
  const found = ofOurs(text) ?? [{ name: asName(file.name.replace(/\.(js|mjs|txt|strudel|json)$/i, '')) ?? 'Set', code: text }];
  if (found.length === 0) throw new Error(`${what} holds no sets.`);
  const large = found.find(({ code }) => bytesOf(code) > MOST_CODE_BYTES);
  if (large) throw new Error(`${what} holds more than 1 MB of code for one set. Nothing was imported.`);
  return found;
}

function ofOurs(text: string): Written[] | null {
  if (!text.trimStart().startsWith('{')) return null;
  let document: { format?: unknown; sets?: unknown };
  try {
    document = JSON.parse(text) as typeof document;
  } catch {
    return null;
  }
  if (document.format !== FORMAT || !Array.isArray(document.sets)) return null;
  const found: Written[] = [];
  for (const each of document.sets as Partial<Written>[]) {
    if (typeof each?.code !== 'string') continue;
    const code = lines(each.code);
    found.push({ code, name: asName(String(each.name ?? '')) ?? titleOf(code) ?? 'Set' });
  }
  return found;
}
