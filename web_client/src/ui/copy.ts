// SPDX-License-Identifier: AGPL-3.0-or-later
import { el } from './dom';

const SAID_MS = 1500;

/** Puts text on the clipboard; false when the browser does not let us. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Copies, and lets the button say for a moment how it went. */
export async function copyFrom(button: HTMLButtonElement, text: string): Promise<void> {
  button.textContent = (await copyText(text)) ? 'Copied' : 'Failed';
  setTimeout(() => (button.textContent = 'Copy'), SAID_MS);
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
