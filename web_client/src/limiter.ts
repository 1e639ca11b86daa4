// SPDX-License-Identifier: AGPL-3.0-or-later
/** The last thing before the loudspeakers: keeps any stack of sounds below full scale. */

const THRESHOLD_DB = -2;
const RATIO = 20;

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
 * Below the threshold (-2 dBFS) sound passes unchanged but for 6 ms of look-ahead; above it 20 dB become 1.
 * Channels are limited in pairs, because a compressor node takes no more than two.
 */
export function createLimiter(context: BaseAudioContext, channels = 2): Chain {
  const input = new GainNode(context, { channelCount: channels, channelCountMode: 'explicit' });
  const output = new GainNode(context, { gain: 1 / makeupGain(THRESHOLD_DB, RATIO) });
  const compressor = (): DynamicsCompressorNode =>
    new DynamicsCompressorNode(context, {
      threshold: THRESHOLD_DB,
      ratio: RATIO,
      knee: 0,
      attack: 0.002,
      release: 0.15,
    });
  if (channels <= 2) {
    input.connect(compressor()).connect(output);
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
  merger.connect(output);
  return { input, output };
}
