// SPDX-License-Identifier: AGPL-3.0-or-later
import { slotUrls, type Sound } from '../protocol';
import { copyFrom } from './copy';
import { el } from './dom';
import { flagText } from './flags';
import { codeOf, SoundDetails, type DetailActions } from './sounddetails';
import { Waveform, type LoadOutline, type Watcher } from './waveform';

export interface RowActions {
  /** Plays one sample; the function that is returned stops it. */
  preview: (url: string, onEnded: () => void) => () => void;
  loadOutline: LoadOutline;
  watcher: Watcher;
  details: Omit<DetailActions, 'preview'>;
  /** Takes a sound away, when the player confirms it. */
  remove: (name: string) => void;
}

/** "fm" -> "F minor", "f#m" -> "F♯ minor", "c" -> "C major". */
export function keyName(key: string): string {
  const found = /^([a-g])(#|b|s)?(m)?$/i.exec(key);
  if (!found) return key;
  const [, note = '', sign = '', minor] = found;
  const accidental = { '#': '♯', s: '♯', b: '♭' }[sign.toLowerCase()] ?? '';
  return `${note.toUpperCase()}${accidental} ${minor ? 'minor' : 'major'}`;
}

const short = (value: number): string => String(Math.round(value * 10) / 10);

/** The facts of a sound, in the order in which a player looks for them. */
export function facts(sound: Sound): string[] {
  const bars = sound.bars === null ? '' : `${short(sound.bars)} ${sound.bars === 1 ? 'bar' : 'bars'}`;
  return [
    sound.kind,
    bars,
    sound.bpm === null ? '' : `${short(sound.bpm)} bpm`,
    sound.key === null ? '' : keyName(sound.key),
    sound.root === null ? '' : `root ${sound.root}`,
    sound.seconds === null ? '' : `${Number(sound.seconds.toPrecision(3))} s`,
    sound.engine,
  ].filter(Boolean);
}

/** One sound of the list. */
export class SoundRow {
  readonly element: HTMLLIElement;
  private readonly wave: Waveform;
  private readonly name = el('span', { className: 'name' });
  private readonly badges = el('span', { className: 'badges' });
  private readonly prompt = el('p', { className: 'prompt' });
  private readonly facts = el('p', { className: 'facts' });
  private readonly details: SoundDetails;
  private readonly play: HTMLButtonElement;
  private readonly copy: HTMLButtonElement;
  private readonly remove: HTMLButtonElement;
  private stopPreview: (() => void) | null = null;

  constructor(
    private sound: Sound,
    private readonly actions: RowActions,
  ) {
    this.wave = new Waveform(actions.loadOutline, actions.watcher);
    this.play = el('button', { type: 'button', className: 'play', onclick: () => this.toggle() });
    this.copy = el('button', { type: 'button', className: 'copy', onclick: () => void copyFrom(this.copy, codeOf(this.sound, 0)) }, 'Copy');
    const remove = (): void => actions.remove(this.sound.name);
    this.remove = el('button', { type: 'button', className: 'delete', onclick: remove }, 'Delete');
    this.details = new SoundDetails(sound, { ...actions.details, preview: actions.preview });
    this.element = el(
      'li',
      { className: 'sound' },
      this.play,
      this.wave.canvas,
      el('div', { className: 'about' }, el('p', { className: 'title' }, this.name, this.badges), this.prompt),
      this.copy,
      this.facts,
      this.remove,
      this.details.element,
    );
    this.update(sound);
  }

  update(sound: Sound): void {
    this.sound = sound;
    this.element.dataset.name = sound.name;
    this.element.dataset.kind = sound.kind;
    this.element.classList.toggle('standin', sound.standin);
    // A long name breaks behind its underscores.
    this.name.replaceChildren(...sound.name.split(/(?<=_)/).flatMap((part) => [part, el('wbr')]));
    this.prompt.textContent = sound.prompt;
    this.prompt.title = sound.prompt;
    this.facts.replaceChildren(facts(sound).join(' · '), ' · ', licence(sound));
    this.badges.replaceChildren(...badges(sound));
    this.copy.setAttribute('aria-label', `Copy the code that plays ${sound.name}`);
    this.remove.setAttribute('aria-label', `Delete ${sound.name}`);
    this.copy.title = codeOf(sound, 0);
    this.showPlaying(this.stopPreview !== null);
    this.wave.show(this.url);
    this.details.update(sound);
  }

  /** Shows that the sound came or changed just now. */
  flash(): void {
    this.element.classList.remove('fresh');
    void this.element.offsetWidth; // starts the animation again
    this.element.classList.add('fresh');
  }

  /** What the bare name plays in code. */
  private get url(): string {
    return slotUrls(this.sound.urls, 0)[0] ?? '';
  }

  private toggle(): void {
    if (this.stopPreview) {
      this.stopPreview();
      return;
    }
    this.stopPreview = this.actions.preview(this.url, () => {
      this.stopPreview = null;
      this.showPlaying(false);
    });
    this.showPlaying(true);
  }

  private showPlaying(playing: boolean): void {
    this.play.textContent = playing ? '■' : '▶';
    this.play.setAttribute('aria-label', `${playing ? 'Stop' : 'Listen to'} ${this.sound.name}`);
    this.element.classList.toggle('playing', playing);
  }
}

function licence(sound: Sound): HTMLElement {
  const text = sound.licence || 'licence unknown';
  if (sound.commercial) return el('span', { className: 'licence' }, text);
  return el('span', { className: 'licence restricted', title: 'Not for commercial use' }, `${text}, not commercial`);
}

function badges(sound: Sound): HTMLElement[] {
  const slots = Array.isArray(sound.urls) ? sound.urls.length : Object.keys(sound.urls).length;
  const badge = (text: string, title = '', kind = ''): HTMLElement =>
    el('span', { className: `badge ${kind}`.trim(), title }, text);
  return [
    // The long twin of every name says nothing new.
    ...sound.aliases.filter((alias) => !alias.startsWith('musicgen_')).map((alias) => badge(alias)),
    ...(slots > 1 ? [badge(Array.isArray(sound.urls) ? `${slots} takes` : `${slots} roots`)] : []),
    ...(sound.standin ? [badge('stand-in', 'It plays until the sound that was asked for is made.', 'waiting')] : []),
    ...sound.flags.map(flagText).map(({ label, sentence }) => badge(label, sentence, 'flag')),
  ];
}
