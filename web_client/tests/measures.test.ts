// SPDX-License-Identifier: AGPL-3.0-or-later
import { describe, expect, it } from 'vitest';
import { measureTexts } from '../src/measures';

describe('what was measured', () => {
  it('is told with its unit, rounded to what can be read', () => {
    expect(measureTexts({ true_peak_dbtp: -1, lufs: -13.024, seam_z: 0.6912, head_silence_ms: 0.226757 })).toEqual([
      'true peak -1 dBTP',
      'loudness -13.02 LUFS',
      'seam z 0.6912',
      'head silence 0.2268 ms',
    ]);
  });

  it('leaves out what is no number', () => {
    expect(measureTexts({ key: 'cm', broken: Number.NaN, nothing: null, dc: 0 })).toEqual(['dc 0']);
  });
});
