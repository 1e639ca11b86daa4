// SPDX-License-Identifier: AGPL-3.0-or-later
/** What the bridge knows of one sound, asked for when somebody wants to know. */
import { measureTexts } from './measures';

export interface Take {
  n: number;
  url: string;
  /** What was measured of it, as short texts. */
  measured: string[];
}

export interface Details {
  /** Pinned sounds are not removed to make room. */
  pinned: boolean;
  takes: Take[];
}

interface Served {
  pinned?: boolean;
  samples?: { n?: number; url?: string; facts?: { measures?: object } | null }[];
}

/** Rejects when the bridge does not answer it. */
export async function loadDetails(name: string): Promise<Details> {
  const response = await fetch(`/sounds/${encodeURIComponent(name)}?format=json`);
  if (!response.ok) throw new Error('The bridge does not know this sound any more.');
  const document = (await response.json()) as Served;
  return {
    pinned: document.pinned ?? false,
    takes: (document.samples ?? []).map((sample, i) => ({
      n: sample.n ?? i,
      url: sample.url ?? '',
      measured: measureTexts({ ...sample.facts?.measures }),
    })),
  };
}
