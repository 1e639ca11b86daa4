// SPDX-License-Identifier: AGPL-3.0-or-later
/** The canvas of `.pianoroll()` and the like: Strudel takes the one with this id, and would lay its own over all of the
 * window. */
const ID = 'test-canvas';

/** Puts it behind the code, as large as the code's place, and keeps it so. */
export function canvasBehind(code: HTMLElement): void {
  const canvas = document.createElement('canvas');
  canvas.id = ID;
  canvas.setAttribute('aria-hidden', 'true');
  code.before(canvas);
  new ResizeObserver(() => {
    const { width, height } = canvas.getBoundingClientRect();
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
  }).observe(canvas);
}
