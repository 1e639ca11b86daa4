// SPDX-License-Identifier: AGPL-3.0-or-later
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Sound } from '../src/protocol';

const folder = join(import.meta.dirname, '../../tests/protocol');

/** The names of all golden messages, without their ending. */
export const goldenNames = (): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.replace(/\.json$/, ''));

/** A golden message. */
export const golden = (name: string): unknown => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));

/** A sound with the fields that a test cares about. */
export const sound = (fields: Partial<Sound> = {}): Sound => ({ ...(golden('sound') as Sound), ...fields });
