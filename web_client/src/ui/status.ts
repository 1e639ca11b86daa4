// SPDX-License-Identifier: AGPL-3.0-or-later
import type { ServerInfo } from '../protocol';
import { Console } from './console';
import { el } from './dom';

const LABELS: Record<string, string> = {
  connecting: 'Connecting',
  online: 'Connected',
  offline: 'Offline',
  refused: 'Refused',
};

/** Is the bridge there, and with which engine, and why? */
export class ConnectionStatus {
  private readonly state = el('span', { className: 'state' });
  private readonly engine = el('span', { className: 'engine' });
  private readonly why = el('p', { className: 'why' });
  private readonly box = el('div', { className: 'connection', aria: { role: 'status' } });
  private readonly again: HTMLButtonElement;
  private server: ServerInfo | null = null;

  constructor(root: HTMLElement, retry: () => void) {
    this.again = el('button', { type: 'button', onclick: retry }, 'Try again');
    this.box.append(el('p', { className: 'line' }, this.state, this.engine, this.again), this.why);
    root.append(this.box);
    this.show('connecting', '');
  }

  show(state: string, why: string): void {
    this.box.dataset.state = state;
    this.state.textContent = LABELS[state] ?? state;
    this.again.hidden = state !== 'refused';
    this.explain(state === 'online' ? (this.server?.why ?? '') : why);
  }

  showServer(server: ServerInfo): void {
    this.server = server;
    const device = server.device ? ` on ${server.device}` : '';
    this.engine.title = 'The engine that makes new sounds';
    this.engine.textContent = server.engine ? `${server.engine}${device}` : '';
    if (this.box.dataset.state === 'online') this.explain(server.why);
  }

  private explain(why: string): void {
    this.why.textContent = this.why.title = why;
  }
}

/** Milliseconds for which a message stays that needs no action. */
export const FADES_MS = 8000;

/** One line for what a player should know now. The console next to it keeps what was said. */
export class StatusLine {
  private readonly line = el('p', { className: 'statusline', aria: { role: 'status' } });
  private readonly console: Console;
  private fading: ReturnType<typeof setTimeout> | undefined;

  constructor(root: HTMLElement) {
    const row = el('div', { className: 'statusrow' }, this.line);
    root.append(row);
    this.console = new Console(root, row);
  }

  /** `fades`: it goes by itself; so does everything that is not an error, unless something is still going on. */
  say(message: string, isError = false, fades = !isError): void {
    clearTimeout(this.fading);
    this.line.textContent = message;
    this.line.classList.toggle('error', isError);
    this.console.add(message, isError);
    if (fades && message !== '') this.fading = setTimeout(() => this.takeBack(message), FADES_MS);
  }

  /** For what is not a reason to act: it never pushes out an error. */
  mention(message: string): void {
    if (this.line.classList.contains('error') && this.line.textContent !== '') this.console.add(message, false);
    else this.say(message);
  }

  /** Says something, and offers what can be done about it. */
  offer(message: string, label: string, act: () => void): void {
    this.say(message, false, false);
    this.line.append(' ', el('button', { type: 'button', onclick: act }, label));
  }

  /** Empties the line if it still shows this message. */
  takeBack(message: string): void {
    if (this.line.textContent === message) this.say('');
  }
}
