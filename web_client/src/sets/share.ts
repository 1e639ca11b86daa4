// SPDX-License-Identifier: AGPL-3.0-or-later
/** Links that hold code, in strudel.cc's own format: what stands behind # is the code's UTF-8 in base64, escaped for an
 * address (`code2hash` and `hash2code` of @strudel/core, which fail on long code and take garbage for code). */
import { asName, lines, MOST_CODE_BYTES } from './model';

export type Shared = { code: string; name: string | null } | { why: string };

export const UNREADABLE = 'This link holds no code that can be read. Your own set is unchanged.';
const PIECE = 0x8000;
/** Base64 makes 4 characters of 3 bytes, and an address may write three for one of them. */
const LONGEST_HASH = MOST_CODE_BYTES * 4;

/** What stands behind # in a link. */
export function codeToHash(code: string): string {
  const bytes = new TextEncoder().encode(code);
  let text = '';
  for (let i = 0; i < bytes.length; i += PIECE) text += String.fromCharCode(...bytes.subarray(i, i + PIECE));
  return encodeURIComponent(btoa(text));
}

/** Reads a link, or what stands behind its #. */
export function readLink(link: string): Shared {
  const hash = link.trim().replace(/^[^#]*#/, '');
  if (hash.length > LONGEST_HASH) return tooLarge(hash.length * 0.75);
  try {
    const text = atob(decodeURIComponent(hash).replaceAll(' ', '+'));
    if (text.length > MOST_CODE_BYTES) return tooLarge(text.length);
    const code = asText(Uint8Array.from(text, (char) => char.charCodeAt(0)));
    return code === null || code.trim() === '' ? { why: UNREADABLE } : { code, name: titleOf(code) };
  } catch {
    return { why: UNREADABLE };
  }
}

/** Bytes as the editor's text; null when they are not text. */
export function asText(bytes: Uint8Array): string | null {
  try {
    const text = lines(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    // eslint-disable-next-line no-control-regex -- what no text has: it is a file of another kind
    return /[\0-\x08\x0e-\x1f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

/** The title that Strudel's comments give: `// @title Night bus`, `// "Night bus"`. */
export function titleOf(code: string): string | null {
  const found = /^\s*(?:\/\/|\/?\*)\s*(?:@title\s+(.+?)|"([^"\n]+)")\s*(?:@\w.*|\*\/.*)?$/m.exec(code);
  return found ? asName(found[1] ?? found[2] ?? '') : null;
}

function tooLarge(bytes: number): Shared {
  const size = (bytes / 1024 / 1024).toFixed(1);
  return { why: `This link holds about ${size} MB, and a set has at most 1 MB of code. Your own set is unchanged.` };
}
