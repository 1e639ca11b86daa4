// SPDX-License-Identifier: AGPL-3.0-or-later
import { el } from './dom';

export interface MemoryActions {
  /** Decoded audio: used and kept at most; bytes. */
  memory: () => { used: number; budget: number };
  change: (budgetBytes: number) => void;
}

const MOST_MB = 4000;

/** How much memory decoded sounds may take. */
export class MemoryBox {
  private readonly used = el('span', { className: 'facts' });

  constructor(
    root: HTMLElement,
    private readonly actions: MemoryActions,
  ) {
    const input = el('input', {
      type: 'number',
      min: '0',
      max: String(MOST_MB),
      step: '50',
      value: String(Math.round(actions.memory().budget / 1e6)),
      onchange: () => {
        if (input.value !== '' && input.checkValidity()) actions.change(input.valueAsNumber * 1e6);
        this.show();
      },
    });
    const label = el('label', { title: 'The sounds played longest ago are removed first, and loaded again when they are played' });
    label.append('Memory for sounds, MB ', input);
    root.append(el('details', { className: 'memory', ontoggle: () => this.show() }, el('summary', {}, 'Memory'), label, this.used));
  }

  private show(): void {
    this.used.textContent = `${Math.round(this.actions.memory().used / 1e6)} MB are used.`;
  }
}
