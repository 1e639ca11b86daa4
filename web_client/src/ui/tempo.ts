// SPDX-License-Identifier: AGPL-3.0-or-later
import type { Shown } from '../editor/tempo';
import { el } from './dom';

/** Says which tempo new sounds get, and how long a cycle is; a click changes that. */
export class TempoButton {
  private readonly button: HTMLButtonElement;

  constructor(root: HTMLElement, turn: () => void) {
    this.button = el('button', { type: 'button', className: 'tempo', hidden: true, onclick: turn });
    this.show({ bpm: undefined, cycle: 'bar' });
    root.append(this.button);
  }

  show({ bpm, cycle }: Shown): void {
    this.button.hidden = bpm === undefined;
    this.button.textContent = `${bpm ?? '?'} bpm · cycle = ${cycle}`;
    this.button.title = `New sounds get this tempo. Click when a cycle of this set is ${cycle === 'bar' ? 'one beat' : 'a bar of four beats'}.`;
  }
}
