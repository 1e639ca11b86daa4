// SPDX-License-Identifier: AGPL-3.0-or-later
import { el } from './dom';

export interface TransportActions {
  evaluate: () => void;
  stop: () => void;
  /** Everything, with tails and previews. */
  silence: () => void;
}

/** Play, stop, and the button for when it gets too loud; with their keys, wherever the focus is. */
export class Transport {
  private readonly play: HTMLButtonElement;

  constructor(root: HTMLElement, actions: TransportActions) {
    this.play = el('button', { type: 'button', className: 'primary', title: 'Ctrl+Enter', onclick: actions.evaluate }, '▶ Play');
    root.append(
      this.play,
      el('button', { type: 'button', title: 'Ctrl+. — what is sounding rings out', onclick: actions.stop }, '■ Stop'),
      el('button', { type: 'button', title: 'Ctrl+Shift+. — tails, echoes and previews too', onclick: actions.silence }, 'Stop all'),
    );
    document.addEventListener('keydown', (event) => {
      if (event.defaultPrevented || !(event.ctrlKey || event.altKey || event.metaKey)) return;
      if (event.key === 'Enter') actions.evaluate();
      else if (event.code === 'Period') (event.shiftKey ? actions.silence : actions.stop)();
      else return;
      event.preventDefault();
    });
  }

  show(playing: boolean): void {
    this.play.textContent = playing ? '↻ Update' : '▶ Play';
    this.play.classList.toggle('on', playing);
  }
}
