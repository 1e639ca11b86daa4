// SPDX-License-Identifier: AGPL-3.0-or-later
import { el } from './dom';

export interface StreamBoxActions {
  /** Begins a stream of these words, or changes the one that plays. */
  start: (prompt: string) => void;
  stop: () => void;
}

/** Plays the words of the prompt box without an end, alongside the code. */
export class StreamBox {
  private readonly play: HTMLButtonElement;
  private readonly end: HTMLButtonElement;

  constructor(root: HTMLElement, words: HTMLInputElement, actions: StreamBoxActions) {
    const begin = (): void => {
      const prompt = words.value.trim();
      if (prompt === '') words.focus();
      else actions.start(prompt);
    };
    this.play = el('button', { type: 'button', title: 'Plays these words endlessly, alongside the code', onclick: begin });
    this.end = el('button', { type: 'button', hidden: true, onclick: actions.stop }, '■ End stream');
    root.append(el('div', { className: 'line', aria: { role: 'group', label: 'Stream' } }, this.play, this.end));
    this.show(false);
  }

  show(playing: boolean): void {
    this.play.textContent = playing ? '↻ Change stream' : '∞ Stream';
    this.play.classList.toggle('on', playing);
    this.end.hidden = !playing;
  }
}
