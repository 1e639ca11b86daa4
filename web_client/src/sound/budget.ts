// SPDX-License-Identifier: AGPL-3.0-or-later
/** How much decoded audio this browser keeps. */

const KEY = 'sample-bridge.audio-mb';
const DEFAULT_MB = 200;
const MOST_MB = 4000;

/** Bytes, as they were chosen in this browser. */
export function storedBudget(): number {
  const stored = localStorage.getItem(KEY);
  const megabytes = stored === null ? DEFAULT_MB : Number(stored);
  return (megabytes >= 0 && megabytes <= MOST_MB ? megabytes : DEFAULT_MB) * 1e6;
}

export function storeBudget(bytes: number): void {
  localStorage.setItem(KEY, String(bytes / 1e6));
}
