// SPDX-License-Identifier: AGPL-3.0-or-later
import { el } from './dom';

const HEIGHT = { least: 400, most: 640 };

/** Shows the bridge's own question in a dialog, and answers what it gave away; null: the person said no. */
export function askPerson(address: string): Promise<string | null> {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const frame = el('iframe', { src: address, title: 'Confirm', height: String(HEIGHT.least) });
    const dialog = el('dialog', { className: 'confirm', aria: { label: 'Confirm' } }, frame);
    let shown = false;
    const end = (secret: string | null): void => {
      removeEventListener('message', hear);
      dialog.remove();
      if (before instanceof HTMLElement) before.focus();
      resolve(secret);
    };
    const hear = ({ source, data }: MessageEvent<unknown>): void => {
      if (source !== frame.contentWindow || typeof data !== 'object' || data === null) return;
      const said = data as { type?: unknown; done?: unknown; secret?: unknown; height?: unknown };
      if (said.type !== 'sample-bridge.confirm') return;
      if (typeof said.height === 'number') {
        frame.height = String(Math.min(Math.max(said.height, HEIGHT.least), HEIGHT.most));
        if (!shown) frame.focus();
        shown = true;
      } else {
        end(said.done === true && typeof said.secret === 'string' ? said.secret : null);
      }
    };
    addEventListener('message', hear);
    dialog.oncancel = () => end(null);
    document.body.append(dialog);
    dialog.showModal();
  });
}
