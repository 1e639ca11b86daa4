// SPDX-License-Identifier: AGPL-3.0-or-later
import type { Details, Take } from '../details';
import type { Sound } from '../protocol';
import { copyFrom } from './copy';
import { el } from './dom';

export interface DetailActions {
  load: (name: string) => Promise<Details>;
  /** Plays one sample; the function that is returned stops it. */
  preview: (url: string, onEnded: () => void) => () => void;
  /** Asks for one more take of the same words. */
  another: (sound: Sound) => void;
  rename: (name: string, to: string) => void;
  pin: (name: string, pinned: boolean) => Promise<void>;
}

/** What opens below a row: every take, and what can be done with the sound. */
export class SoundDetails {
  readonly element: HTMLDetailsElement;
  private readonly takes = el('ul', { className: 'takes', aria: { label: 'Takes' } });
  private readonly measured = el('p', {});
  private readonly pin: HTMLButtonElement;
  private readonly another: HTMLButtonElement;
  private readonly newName: HTMLInputElement;
  private readonly renaming: HTMLFormElement;
  private stop: () => void = () => undefined;

  constructor(
    private sound: Sound,
    private readonly actions: DetailActions,
  ) {
    this.another = el('button', { type: 'button', onclick: () => actions.another(this.sound) }, 'Another one');
    this.pin = el('button', { type: 'button' }, 'Pin');
    this.newName = el('input', { type: 'text', required: true, maxLength: 64, spellcheck: false, aria: { label: 'New name' } });
    this.renaming = el('form', { className: 'rename' }, this.newName, el('button', { type: 'submit' }, 'Rename'));
    this.renaming.onsubmit = (event) => {
      event.preventDefault();
      const to = this.newName.value.trim();
      if (to && to !== this.sound.name) actions.rename(this.sound.name, to);
    };
    this.element = el(
      'details',
      { className: 'sounddetails' },
      el('summary', {}, 'More'),
      this.takes,
      el('div', { className: 'tools' }, this.another, this.pin, this.renaming),
      this.measured,
    );
    this.element.ontoggle = () => void this.show();
  }

  update(sound: Sound): void {
    this.sound = sound;
    // Sounds of several notes take no further take of unknown pitch.
    this.another.hidden = !Array.isArray(sound.urls);
    if (document.activeElement !== this.newName) this.newName.value = sound.name;
    void this.show();
  }

  private async show(): Promise<void> {
    if (!this.element.open) return;
    const { name, seq } = this.sound;
    let details: Details;
    try {
      details = await this.actions.load(name);
    } catch (error) {
      this.measured.textContent = error instanceof Error ? error.message : String(error);
      return;
    }
    if (name !== this.sound.name || seq !== this.sound.seq) return; // a newer one is being shown
    this.showPin(details.pinned);
    const several = details.takes.length > 1 && Array.isArray(this.sound.urls);
    this.takes.hidden = !several;
    this.takes.replaceChildren(...(several ? details.takes.map((take) => this.take(take)) : []));
    const shown = details.takes[0];
    this.measured.textContent = (shown?.measured ?? []).join(' · ');
  }

  private showPin(pinned: boolean): void {
    this.pin.textContent = pinned ? 'Unpin' : 'Pin';
    this.pin.title = pinned ? 'It may be removed to make room.' : 'It is never removed to make room.';
    this.pin.onclick = () => void this.actions.pin(this.sound.name, !pinned).then(() => this.show());
  }

  private take({ n, url }: Take): HTMLLIElement {
    const name = `${this.sound.name}:${n}`;
    const play = el('button', { type: 'button', aria: { label: `Listen to ${name}` } }, `▶ ${n}`);
    play.onclick = () => {
      this.stop();
      this.stop = this.actions.preview(url, () => undefined);
    };
    const copy = el('button', { type: 'button', aria: { label: `Copy ${name}` } }, 'Copy');
    copy.onclick = () => void copyFrom(copy, codeOf(this.sound, n));
    return el('li', {}, play, copy);
  }
}

/** Code that plays slot `n` of a sound; 0 is what its bare name plays. */
export function codeOf(sound: Sound, n: number): string {
  if (!Array.isArray(sound.urls)) return sound.strudel;
  const bare = sound.strudel.replace(`${sound.name}:${sound.n}`, sound.name);
  return n === 0 ? bare : bare.replace(sound.name, `${sound.name}:${n}`);
}
