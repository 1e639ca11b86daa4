// SPDX-License-Identifier: AGPL-3.0-or-later
import { el } from './dom';

export type LoadOutline = (url: string) => Promise<Float32Array>;

const WIDTH = 116;
const HEIGHT = 40;
const GAP = 0.35;

/** A small picture of a sample, drawn when it comes into view. */
export class Waveform {
  readonly canvas: HTMLCanvasElement;
  private url = '';
  private seen = false;

  constructor(
    private readonly load: LoadOutline,
    watcher: Watcher,
  ) {
    this.canvas = el('canvas', { className: 'wave', width: WIDTH * 2, height: HEIGHT * 2, aria: { hidden: 'true' } });
    watcher.watch(this.canvas, () => {
      this.seen = true;
      this.draw();
    });
  }

  show(url: string): void {
    if (url === this.url) return;
    this.url = url;
    delete this.canvas.dataset.drawn;
    if (this.seen) this.draw();
  }

  private draw(): void {
    const { url } = this;
    this.load(url).then(
      (peaks) => {
        if (url === this.url) this.paint(peaks);
      },
      () => {
        if (url === this.url) this.paint(new Float32Array(8));
      },
    );
  }

  private paint(peaks: Float32Array): void {
    const paper = this.canvas.getContext('2d');
    if (!paper) return;
    const { width, height } = this.canvas;
    paper.clearRect(0, 0, width, height);
    paper.fillStyle = getComputedStyle(this.canvas).color;
    const step = width / peaks.length;
    peaks.forEach((peak, i) => {
      const tall = Math.max(2, Math.min(1, peak) * (height - 4));
      paper.fillRect(i * step, (height - tall) / 2, step * (1 - GAP), tall);
    });
    this.canvas.dataset.drawn = this.url;
  }
}

/** Calls back once when an element comes near the part of the page that is seen. */
export class Watcher {
  private readonly seen = new WeakMap<Element, () => void>();
  private readonly observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        this.observer.unobserve(target);
        this.seen.get(target)?.();
      }
    },
    { rootMargin: '120px' },
  );

  watch(element: Element, seen: () => void): void {
    this.seen.set(element, seen);
    this.observer.observe(element);
  }
}
