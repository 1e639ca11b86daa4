// SPDX-License-Identifier: AGPL-3.0-or-later
/** The outline of a sample, for drawing. */

export const BINS = 72;
const AT_ONCE = 2;

const known = new Map<string, Promise<Float32Array>>();
const queue: (() => void)[] = [];
let running = 0;

/** The largest absolute value in each of `bins` equal parts; 0..1 when the sample is not clipped. */
export function outline(channels: Float32Array[], bins = BINS): Float32Array {
  const peaks = new Float32Array(bins);
  for (const channel of channels) {
    for (let i = 0; i < channel.length; i += 1) {
      const bin = Math.floor((i * bins) / channel.length);
      peaks[bin] = Math.max(peaks[bin] ?? 0, Math.abs(channel[i] ?? 0));
    }
  }
  return peaks;
}

/** Fetches, decodes and measures one sample, two at a time, and keeps nothing but the outline. */
export function loadOutline(url: string): Promise<Float32Array> {
  const before = known.get(url);
  if (before) return before;
  const outlined = turn(async () => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} answered ${response.status}.`);
    const buffer = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(await response.arrayBuffer());
    return outline(Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel)));
  });
  known.set(url, outlined);
  outlined.catch(() => known.delete(url));
  return outlined;
}

async function turn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => queue.push(resolve));
  running += 1;
  try {
    return await work();
  } finally {
    running -= 1;
    queue.shift()?.();
  }
}
