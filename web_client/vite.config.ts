// SPDX-License-Identifier: AGPL-3.0-or-later
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const bridge = process.env.BRIDGE_URL ?? 'http://localhost:5001';
const served = ['/session', '/samples', '/sounds', '/generate', '/generate_stem', '/health', '/strudel.json', '/gen', '/confirm', '/sets', '/notices', '/source'];

// What /docs and /redoc show the API with. Both come from their packages: nothing of them is in the page's bundle.
const viewers = [
  'swagger-ui-dist/swagger-ui-bundle.js',
  'swagger-ui-dist/swagger-ui.css',
  'redoc/bundles/redoc.standalone.js',
].map((path) => join(import.meta.dirname, 'node_modules', path));

// The one thing that Redoc would fetch from another host: its maker's logo.
const outsideImage = 'https://cdn.redoc.ly/redoc/logo-mini.svg';
const noImage = 'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22/%3E';

const copyViewers: Plugin = {
  name: 'copy-viewers',
  apply: 'build',
  writeBundle({ dir }) {
    const folder = join(dir ?? '', 'viewers');
    mkdirSync(folder, { recursive: true });
    for (const path of viewers) {
      const text = readFileSync(path, 'utf8').replaceAll(outsideImage, noImage);
      writeFileSync(join(folder, basename(path)), text);
    }
  },
};

export default defineConfig({
  plugins: [copyViewers],
  build: {
    outDir: '../bridge/static',
    // public/.gitkeep brings back the one file of that folder which git knows.
    emptyOutDir: true,
    target: 'esnext',
    modulePreload: { polyfill: false },
    // Kilobytes. One file is wanted, Strudel is most of it; tests/browser/test_size.py watches what is transferred.
    chunkSizeWarningLimit: 2400,
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
      // The Host stays this server's, as its Origin does: so the bridge takes the page for its own (docs/security.md).
      ...Object.fromEntries(served.map((path) => [`^${path}(/|\\?|$)`, { target: bridge, changeOrigin: false }])),
      '/socket.io': { target: bridge, ws: true, changeOrigin: false },
      '/ws/stream': { target: bridge, ws: true, changeOrigin: false },
    },
  },
  test: { include: ['tests/**/*.test.ts'] },
});
