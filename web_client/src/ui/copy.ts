// SPDX-License-Identifier: AGPL-3.0-or-later
import { el } from './dom';

/** Puts text on the clipboard; false when the browser does not let us. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

// On plain http from another machine there is no navigator.clipboard; the old way still works there.
function copyBySelection(text: string): boolean {
  const focused = document.activeElement;
  const box = el('textarea', { value: text, className: 'offscreen' });
  document.body.append(box);
  box.select();
  const copied = document.execCommand('copy');
  box.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}
