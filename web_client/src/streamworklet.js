// SPDX-License-Identifier: AGPL-3.0-or-later
/* global AudioWorkletProcessor, registerProcessor, sampleRate */
/** Plays pieces of a stream one after the other, on the audio thread, at whatever rate they come. */

/** Seconds that are held before the first is heard, and after each hole. */
const LEAD_S = 0.25;

class StreamPlayer extends AudioWorkletProcessor {
  constructor() {
    super();
    this.channels = [new Float32Array(0), new Float32Array(0)];
    this.rate = sampleRate;
    this.at = 0;
    this.sounding = false;
    this.ended = false;
    this.port.onmessage = ({ data }) => {
      if (data === 'end') this.ended = true;
      else this.take(data.channels, data.rate);
    };
  }

  take(channels, rate) {
    const from = Math.max(0, Math.floor(this.at) - 1);
    this.at -= from;
    this.rate = rate;
    this.channels = this.channels.map((held, c) => {
      const next = channels[Math.min(c, channels.length - 1)];
      const whole = new Float32Array(held.length - from + next.length);
      whole.set(held.subarray(from));
      whole.set(next, held.length - from);
      return whole;
    });
  }

  process(_inputs, [output]) {
    const step = this.rate / sampleRate;
    const length = this.channels[0].length;
    if (!this.sounding && (length - this.at >= LEAD_S * this.rate || (this.ended && length > this.at))) this.sounding = true;
    if (!this.sounding) return this.finish(length);
    const frames = output[0].length;
    for (let c = 0; c < output.length; c++) {
      const held = this.channels[Math.min(c, 1)];
      let at = this.at;
      for (let i = 0; i < frames; i++, at += step) {
        const k = Math.floor(at);
        const next = k + 1 < length ? held[k + 1] : 0;
        output[c][i] = k < length ? held[k] + (next - held[k]) * (at - k) : 0;
      }
    }
    this.at += frames * step;
    if (this.at >= length) {
      this.at = length;
      this.sounding = false;
      if (!this.ended) this.port.postMessage('hole');
    }
    return this.finish(length);
  }

  finish(length) {
    if (!this.ended || this.sounding || this.at < length) return true;
    this.port.postMessage('ended');
    return false;
  }
}

registerProcessor('sample-bridge-stream', StreamPlayer);
