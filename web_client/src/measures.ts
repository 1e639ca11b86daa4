// SPDX-License-Identifier: AGPL-3.0-or-later
/** What was measured of a sound, asked for when somebody wants to know. */

const UNITS: Readonly<Record<string, string>> = {
  dbfs: 'dBFS',
  dbtp: 'dBTP',
  db: 'dB',
  hz: 'Hz',
  ms: 'ms',
  lufs: 'LUFS',
  cents: 'cents',
  percent: '%',
};

/** `true_peak_dbtp: -1` -> "true peak -1 dBTP"; what is not a number or text stays out. */
export function measureTexts(measures: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(measures).flatMap(([key, value]) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return [];
    const words = key.split('_');
    const unit = UNITS[words.at(-1) ?? ''];
    const label = (unit && words.length > 1 ? words.slice(0, -1) : words).join(' ');
    const shown = String(Number(value.toPrecision(4)));
    if (key === 'lufs') return [`loudness ${shown} LUFS`];
    return [[label, shown, words.length > 1 ? unit : undefined].filter(Boolean).join(' ')];
  });
}
