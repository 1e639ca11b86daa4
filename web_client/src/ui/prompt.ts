// SPDX-License-Identifier: AGPL-3.0-or-later
import type { GenerateRequest } from '../protocol';
import { el } from './dom';

export interface PromptActions {
  /** Asks for the sound; null, or a sentence that says why not. */
  generate: (request: GenerateRequest) => Promise<string | null>;
  /** Escape: back to the code. */
  leave: () => void;
}

/** Characters; the bridge refuses more. Not the field's maxLength, which cuts what is pasted without a word. */
const MOST_CHARACTERS = 500;

const KINDS: [value: string, label: string][] = [
  ['', 'kind: as the words say'],
  ['oneshot', 'one-shot'],
  ['loop', 'loop'],
  ['texture', 'texture'],
  ['pitched', 'pitched'],
  ['stem', 'stem'],
];

/** Where a sound is described. Every field but the words is optional. */
export class PromptBox {
  private readonly words: HTMLInputElement;
  private readonly kind: HTMLSelectElement;
  private readonly bpm: HTMLInputElement;
  private readonly key: HTMLInputElement;
  private readonly problem = el('p', { className: 'problem', aria: { role: 'alert' } });

  constructor(
    root: HTMLElement,
    private readonly actions: PromptActions,
  ) {
    this.words = el('input', {
      type: 'text',
      id: 'prompt',
      className: 'words',
      placeholder: 'dusty vinyl break, 92 bpm',
      autocomplete: 'off',
      spellcheck: false,
    });
    this.kind = el(
      'select',
      { aria: { label: 'Kind of sound' } },
      ...KINDS.map(([value, label]) => el('option', { value }, label)),
    );
    this.bpm = el('input', { type: 'number', min: '20', max: '400', step: 'any', placeholder: 'bpm', aria: { label: 'Beats per minute' } });
    this.key = el('input', { type: 'text', placeholder: 'key', aria: { label: 'Key, for example F minor' }, autocomplete: 'off', spellcheck: false });
    const form = el(
      'form',
      {
        className: 'promptbox',
        noValidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          void this.submit();
        },
        oninput: () => (this.problem.textContent = ''),
        onkeydown: (event) => {
          if (event.key === 'Escape') this.actions.leave();
        },
      },
      el('label', { htmlFor: 'prompt' }, 'Describe a sound that does not exist yet'),
      el('div', { className: 'line' }, this.words, el('button', { type: 'submit', className: 'primary' }, 'Make it')),
      el('div', { className: 'line options' }, this.kind, this.bpm, this.key),
      this.problem,
    );
    root.append(form);
  }

  /** What plays is offered, not set: the words may say otherwise. */
  offer({ bpm, key }: { bpm: number | undefined; key: string | undefined }): void {
    this.bpm.placeholder = bpm === undefined ? 'bpm' : `${bpm} bpm`;
    this.key.placeholder = key ?? 'key';
  }

  /** What is typed into the fields. */
  get typed(): { bpm?: number; key?: string } {
    const key = this.key.value.trim();
    return { ...(this.bpm.value ? { bpm: this.bpm.valueAsNumber } : {}), ...(key ? { key } : {}) };
  }

  private async submit(): Promise<void> {
    const prompt = this.words.value.trim();
    this.problem.textContent = '';
    if (prompt === '') {
      this.problem.textContent = 'Say in a few words what you want to hear.';
      this.words.focus();
      return;
    }
    // As the bridge counts: a character outside the first plane is one, not two.
    const length = [...prompt].length;
    if (length > MOST_CHARACTERS) {
      this.problem.textContent = `A prompt has at most ${MOST_CHARACTERS} characters and this one has ${length}: shorten it and ask again.`;
      this.words.focus();
      return;
    }
    const request: GenerateRequest = { prompt, ...this.typed };
    if (this.kind.value) request.kind = this.kind.value;
    this.words.select();
    this.problem.textContent = (await this.actions.generate(request)) ?? '';
  }
}
