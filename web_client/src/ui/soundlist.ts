// SPDX-License-Identifier: AGPL-3.0-or-later
import type { Sound } from '../protocol';
import { arrange, el } from './dom';
import { facts, SoundRow, type RowActions } from './soundrow';

const PAGE = 120;

/** True when every word of the query is in the sound's name, aliases, prompt or facts. */
export function matches(sound: Sound, query: string): boolean {
  const text = [sound.name, ...sound.aliases, sound.prompt, ...facts(sound), sound.licence].join(' ').toLowerCase();
  return query.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** All sounds, the newest first, with a box to find one. */
export class SoundList {
  private readonly sounds = new Map<string, Sound>();
  private readonly rows = new Map<string, SoundRow>();
  private readonly list = el('ul', { className: 'sounds', aria: { label: 'Sounds' } });
  private readonly count = el('span', { className: 'count' });
  private readonly search: HTMLInputElement;
  private readonly empty = el('p', { className: 'empty' });
  private readonly more: HTMLButtonElement;
  private limit = PAGE;
  private waiting = false;

  constructor(
    root: HTMLElement,
    private readonly actions: RowActions,
  ) {
    this.search = el('input', {
      type: 'search',
      placeholder: 'Find: kick, loop, 92 bpm …',
      aria: { label: 'Find a sound' },
      oninput: () => {
        this.limit = PAGE;
        this.render();
      },
    });
    this.more = el('button', { type: 'button', className: 'more' }, 'Show more');
    this.more.onclick = () => {
      this.limit += PAGE;
      this.render();
    };
    root.append(
      el('div', { className: 'listhead' }, el('h2', {}, 'Sounds ', this.count), this.search),
      this.list,
      this.empty,
      this.more,
    );
    this.render();
  }

  reset(sounds: Sound[]): void {
    this.sounds.clear();
    for (const sound of [...sounds].sort((a, b) => a.seq - b.seq)) this.sounds.set(sound.name, sound);
    for (const name of this.rows.keys()) if (!this.sounds.has(name)) this.rows.delete(name);
    for (const [name, row] of this.rows) row.update(this.sounds.get(name) as Sound);
    this.render();
  }

  /** A sound came or changed (it keeps its place), or went (null). */
  change(name: string, sound: Sound | null): void {
    if (sound) {
      this.sounds.set(name, sound);
      this.rows.get(name)?.update(sound);
    } else {
      this.sounds.delete(name);
      this.rows.delete(name);
    }
    this.renderSoon(name);
  }

  private renderSoon(fresh: string): void {
    queueMicrotask(() => this.rows.get(fresh)?.flash());
    if (this.waiting) return;
    this.waiting = true;
    queueMicrotask(() => {
      this.waiting = false;
      this.render();
    });
  }

  private render(): void {
    const query = this.search.value.trim();
    const found = [...this.sounds.values()].reverse().filter((sound) => matches(sound, query));
    arrange(
      this.list,
      found.slice(0, this.limit).map((sound) => this.row(sound).element),
    );
    this.count.textContent = query ? `${found.length} of ${this.sounds.size}` : String(this.sounds.size);
    this.more.hidden = found.length <= this.limit;
    this.empty.hidden = found.length > 0;
    this.empty.textContent =
      this.sounds.size === 0
        ? 'No sounds yet. The first ones appear here as soon as the bridge has made them.'
        : 'No sound fits these words. Describe it above and the bridge makes it.';
  }

  private row(sound: Sound): SoundRow {
    const row = this.rows.get(sound.name) ?? new SoundRow(sound, this.actions);
    this.rows.set(sound.name, row);
    return row;
  }
}
