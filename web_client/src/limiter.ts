// SPDX-License-Identifier: AGPL-3.0-or-later
/** The last thing before the loudspeakers: no stack of sounds is louder than -1 dBFS. */

const THRESHOLD_DB = -2;
const RATIO = 20;
/** No sample that leaves is larger. */
export const CEILING_DB = -1;
/** The compressor lets the first milliseconds of an attack through; up to this much full scale is bent below the ceiling. */
const HEADROOM = 8;
/** Points of the curve on each side of zero: the straight part is exact, the bend is smooth. */
const POINTS = 8192;

/** A chain of audio nodes with one way in and one way out. */
export interface Chain {
  input: AudioNode;
  output: AudioNode;
}

/**
 * The make-up gain which the Web Audio specification builds into a DynamicsCompressor, as a factor:
 * (1 / gain at full scale) ^ 0.6, where a hard knee leaves threshold * (1 - 1 / ratio) dB at full scale.
 */
export function makeupGain(thresholdDb: number, ratio: number): number {
  const gainAtFullScaleDb = thresholdDb * (1 - 1 / ratio);
  return 10 ** ((-gainAtFullScaleDb * 0.6) / 20);
}

/**
 * What remains of a value, 1.0 being full scale: up to the threshold it is unchanged, above that it bends towards the
 * ceiling, which it never passes.
 */
export function bend(value: number): number {
  const straight = 10 ** (THRESHOLD_DB / 20);
  const room = 10 ** (CEILING_DB / 20) - straight;
  const size = Math.abs(value);
  return size <= straight ? value : Math.sign(value) * (straight + room * Math.tanh((size - straight) / room));
}

/** Holds the ceiling, whatever comes. A WaveShaper takes -1..1, so the signal is made smaller in front of it. */
function ceiling(context: BaseAudioContext, input: AudioNode): AudioNode {
  const curve = Float32Array.from({ length: 2 * POINTS + 1 }, (_, i) => bend(((i - POINTS) / POINTS) * HEADROOM));
  return input.connect(new GainNode(context, { gain: 1 / HEADROOM })).connect(new WaveShaperNode(context, { curve }));
}

/**
 * Below the threshold (-2 dBFS) sound passes unchanged but for 6 ms of look-ahead; above it 20 dB become 1, and what
 * is faster than the compressor is bent below the ceiling.
 * Channels are limited in pairs, because a compressor node takes no more than two.
 */
export function createLimiter(context: BaseAudioContext, channels = 2): Chain {
  const input = new GainNode(context, { channelCount: channels, channelCountMode: 'explicit' });
  const made = new GainNode(context, { gain: 1 / makeupGain(THRESHOLD_DB, RATIO) });
  const output = ceiling(context, made);
  const compressor = (): DynamicsCompressorNode =>
    new DynamicsCompressorNode(context, {
      threshold: THRESHOLD_DB,
      ratio: RATIO,
      knee: 0,
      attack: 0.002,
      release: 0.15,
    });
  if (channels <= 2) {
    input.connect(compressor()).connect(made);
    return { input, output };
  }
  const splitter = new ChannelSplitterNode(context, { numberOfOutputs: channels });
  const merger = new ChannelMergerNode(context, { numberOfInputs: channels });
  input.connect(splitter);
  for (let left = 0; left < channels; left += 2) {
    const pair = new ChannelMergerNode(context, { numberOfInputs: 2 });
    const back = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
    pair.connect(compressor()).connect(back);
    for (let side = 0; side < 2 && left + side < channels; side += 1) {
      splitter.connect(pair, left + side, side);
      back.connect(merger, side, left + side);
    }
  }
  merger.connect(made);
  return { input, output };
}
