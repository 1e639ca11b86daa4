// SPDX-License-Identifier: AGPL-3.0-or-later
import type { ServerInfo } from '../protocol';
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
    this.why.textContent = state === 'online' ? (this.server?.why ?? '') : why;
  }

  showServer(server: ServerInfo): void {
    this.server = server;
    const device = server.device ? ` on ${server.device}` : '';
    this.engine.textContent = server.engine ? `Engine: ${server.engine}${device}` : '';
    if (this.box.dataset.state === 'online') this.why.textContent = server.why;
  }
}

/** One line for what a player should know now. */
export class StatusLine {
  private readonly line = el('p', { className: 'statusline', aria: { role: 'status' } });

  constructor(root: HTMLElement) {
    root.append(this.line);
  }

  say(message: string, isError = false): void {
    this.line.textContent = message;
    this.line.classList.toggle('error', isError);
  }

  /** Says something, and offers what can be done about it. */
  offer(message: string, label: string, act: () => void): void {
    this.say(message);
    this.line.append(' ', el('button', { type: 'button', onclick: act }, label));
  }

  /** Empties the line if it still shows this message. */
  takeBack(message: string): void {
    if (this.line.textContent === message) this.say('');
  }
}
