// SPDX-License-Identifier: AGPL-3.0-or-later
/** The arrows between the files, and no HTML from text: held by the linter, and this holds the linter. */
import { join } from 'node:path';
import { ESLint } from 'eslint';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const eslint = new ESLint({ cwd: root });

test.each([
  ['src/ui/jobs.ts', "import { Connection } from '../connection';\nexport const made = new Connection();"],
  ['src/ui/jobs.ts', "import { StrudelPlayer } from '../strudel';\nexport const player = StrudelPlayer;"],
  ['src/samples.ts', "import { silence } from '@strudel/core';\nexport const quiet = silence;"],
  ['src/strudel.ts', "import { io } from 'socket.io-client';\nexport const socket = io();"],
  ['src/main.ts', "import { samples } from 'superdough';\nexport const load = samples as unknown;"],
  ['src/api.ts', "import { outline } from './peaks';\nexport const peaks = outline;"],
  ['src/ui/dom.ts', "document.body.innerHTML = '<b>x</b>';"],
  ['src/ui/dom.ts', "document.body.insertAdjacentHTML('beforeend', '<b>x</b>');"],
])('%s must not hold: %s', async (file, code) => {
  const [result] = await eslint.lintText(`${code}\n`, { filePath: join(root, file) });
  expect(result?.messages.map(({ ruleId }) => ruleId)).toContainEqual(expect.stringMatching(/no-restricted-(imports|syntax)/));
}, 30_000);
