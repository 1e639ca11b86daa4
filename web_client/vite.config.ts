// SPDX-License-Identifier: AGPL-3.0-or-later
import { defineConfig } from 'vitest/config';

const bridge = process.env.BRIDGE_URL ?? 'http://localhost:5001';
const served = ['/samples', '/sounds', '/generate', '/generate_stem', '/health', '/strudel.json', '/gen', '/notices', '/source'];

export default defineConfig({
  build: {
    outDir: '../bridge/static',
    // public/.gitkeep brings back the one file of that folder which git knows.
    emptyOutDir: true,
    target: 'esnext',
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: 'index.html', 'sample-bridge': 'src/api.ts' },
      // sample-bridge.js is imported by other people's pages: a fixed name, and all of its exports.
      preserveEntrySignatures: 'exports-only',
      output: {
        entryFileNames: ({ name }) => (name === 'sample-bridge' ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
  server: {
    proxy: {
      ...Object.fromEntries(served.map((path) => [`^${path}(/|\\?|$)`, bridge])),
      '/socket.io': { target: bridge, ws: true },
    },
  },
  test: { include: ['tests/**/*.test.ts'] },
});
