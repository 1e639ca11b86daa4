// SPDX-License-Identifier: AGPL-3.0-or-later
import js from '@eslint/js';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const strudel = {
  group: ['@strudel/*', 'superdough', 'superdough/*'],
  message: 'Only src/strudel.ts, src/editor/ and src/sound/ speak Strudel.',
};
const socket = { group: ['socket.io-client'], message: 'Only src/connection.ts speaks Socket.IO.' };
const below = {
  group: ['**/connection', '**/strudel', '**/samples', '**/requests', '**/main'],
  message: 'Views are given what they show and call back; they know neither the wire nor the player.',
};
const player = { group: ['**/strudel'], message: 'main.ts brings the player; nothing else knows Strudel.' };

const only = (...patterns) => ({ '@typescript-eslint/no-restricted-imports': ['error', { patterns }] });

export default tseslint.config(
  { ignores: ['node_modules', 'dist'] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  ...tseslint.configs.stylistic,
  {
    files: ['src/**/*.ts', 'tests/**/*.ts', 'vite.config.ts'],
    languageOptions: {
      globals: globals.browser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      ...only(strudel, socket, player),
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-function-return-type': ['error', { allowExpressions: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      'no-console': ['error', { allow: ['warn'] }],
      // Text from people reaches the page as text: the page may evaluate code, so markup would be a way in.
      'no-restricted-syntax': [
        'error',
        ...['innerHTML', 'outerHTML', 'srcdoc'].map((name) => ({
          selector: `AssignmentExpression > MemberExpression.left[property.name="${name}"]`,
          message: 'Use el() and textContent: text from people must never become HTML.',
        })),
        ...['insertAdjacentHTML', 'write', 'setHTMLUnsafe', 'createContextualFragment'].map((name) => ({
          selector: `CallExpression[callee.property.name="${name}"]`,
          message: 'Use el() and textContent: text from people must never become HTML.',
        })),
      ],
    },
  },
  { files: ['src/strudel.ts', 'src/strudel-packages.d.ts'], rules: only(socket) },
  { files: ['src/editor/**/*.ts', 'src/sound/**/*.ts'], rules: only(socket, player) },
  { files: ['src/connection.ts'], rules: only(strudel, player) },
  { files: ['src/main.ts'], rules: only(strudel, socket) },
  { files: ['src/ui/**/*.ts'], rules: only(strudel, socket, below) },
  { files: ['src/api.ts'], rules: only({ group: ['*'], message: 'Other programs copy this file: it depends on nothing.' }) },
  { files: ['tests/**/*.ts'], rules: { ...only(), '@typescript-eslint/no-non-null-assertion': 'off' } },
);
