// SPDX-License-Identifier: AGPL-3.0-or-later

/** The buffer as a WAV file of 32-bit floats: no rounding, no clipping. */
export function encodeWav(buffer: AudioBuffer): Blob {
  const { numberOfChannels: channels, length: frames, sampleRate } = buffer;
  const dataBytes = frames * channels * 4;
  const file = new DataView(new ArrayBuffer(44 + dataBytes));
  const word = (offset: number, letters: string): void => {
    for (let i = 0; i < letters.length; i += 1) file.setUint8(offset + i, letters.charCodeAt(i));
  };
  word(0, 'RIFF');
  file.setUint32(4, 36 + dataBytes, true);
  word(8, 'WAVE');
  word(12, 'fmt ');
  file.setUint32(16, 16, true);
  file.setUint16(20, 3, true); // IEEE float
  file.setUint16(22, channels, true);
  file.setUint32(24, sampleRate, true);
  file.setUint32(28, sampleRate * channels * 4, true);
  file.setUint16(32, channels * 4, true);
  file.setUint16(34, 32, true);
  word(36, 'data');
  file.setUint32(40, dataBytes, true);
  for (let channel = 0; channel < channels; channel += 1) {
    const samples = buffer.getChannelData(channel);
    for (let frame = 0; frame < frames; frame += 1) {
      file.setFloat32(44 + (frame * channels + channel) * 4, samples[frame] ?? 0, true);
    }
  }
  return new Blob([file.buffer], { type: 'audio/wav' });
}
