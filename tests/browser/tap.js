// Listens to the last node before the loudspeakers. `tap.until(test)` resolves when the RMS of a block passes the test;
// `tap.capture(seconds)` resolves with the rate and that many seconds of mono samples from now on.
(async () => {
  if (globalThis.tap) return;
  const source = `registerProcessor('tap', class extends AudioWorkletProcessor {
    constructor() {
      super();
      this.blocks = [];
      this.energy = 0;
      this.count = 0;
      this.port.onmessage = ({ data }) => { this.blocks = []; this.wanted = data; };
    }
    process([channels]) {
      const mono = new Float32Array(128);
      for (const channel of channels) channel.forEach((value, i) => (mono[i] += value / channels.length));
      for (const value of mono) this.energy += value * value;
      this.count += 128;
      if (this.count === 2048) {
        this.port.postMessage({ rms: Math.sqrt(this.energy / this.count) });
        this.energy = this.count = 0;
      }
      if (this.wanted) {
        this.blocks.push(mono);
        if (this.blocks.length * 128 >= this.wanted) {
          this.port.postMessage({ captured: this.blocks });
          this.wanted = 0;
        }
      }
      return true;
    }
  });`;
  // superdough's own output on a page with stock Strudel; our page has something behind it.
  const { context, output } = globalThis.sampleBridge?.audio() ?? {
    context: getAudioContext(),
    output: getSuperdoughAudioController().output.destinationGain,
  };
  await context.resume();
  await context.audioWorklet.addModule(`data:text/javascript;base64,${btoa(source)}`);
  const node = new AudioWorkletNode(context, 'tap', { numberOfOutputs: 1 });
  output.connect(node).connect(context.destination);
  const listeners = new Set();
  node.port.onmessage = ({ data }) => listeners.forEach((listener) => listener(data));
  const next = (pick) =>
    new Promise((resolve) => {
      const listener = (data) => {
        const picked = pick(data);
        if (picked === undefined) return;
        listeners.delete(listener);
        resolve(picked);
      };
      listeners.add(listener);
    });
  globalThis.tap = {
    until: (test) => next(({ rms }) => (rms !== undefined && test(rms) ? true : undefined)),
    capture: async (seconds) => {
      const captured = next((data) => data.captured);
      node.port.postMessage(Math.ceil(seconds * context.sampleRate));
      return [context.sampleRate, (await captured).flatMap((block) => [...block])];
    },
  };
})();
