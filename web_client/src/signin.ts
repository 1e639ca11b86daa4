// SPDX-License-Identifier: AGPL-3.0-or-later
/**
 * The key's way through the page: from the fragment of its address to the bridge, once, for a cookie that no code in
 * the page can read. Imported before everything else.
 *
 * A document remembers the address that it was loaded from (performance's navigation entry, navigation.activation),
 * and code cannot clear that. So a document that came with a key exchanges it, and is then loaded again without: nothing
 * else of the page has run in it, and no pattern ever does.
 */

const OLD_KEY = 'sample-bridge.token';
const WHY = 'sample-bridge.sign-in';
const OFFLINE = 'The bridge did not answer, so the key was not accepted. Open the page again with #token=YOUR_KEY.';

/** Between the tabs of this page: one that has signed in tells the others, which have the same cookie then. */
const tabs = new BroadcastChannel('sample-bridge.session');

/** Takes the key out of the address, and out of where older versions of this page kept it. */
function takeKey(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given !== null) history.replaceState(null, '', location.pathname + location.search);
  const old = sessionStorage.getItem(OLD_KEY);
  sessionStorage.removeItem(OLD_KEY);
  return given || old;
}

/** Gives the key to the bridge; why it was not taken, empty when it was. */
async function exchange(key: string): Promise<string> {
  let answer: Response;
  try {
    answer = await fetch('/session', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ key }),
    });
  } catch {
    return OFFLINE;
  }
  if (answer.ok) {
    tabs.postMessage('signed in');
    return '';
  }
  const told = (await answer.json().catch(() => null)) as { error?: { message?: string } } | null;
  return told?.error?.message ?? OFFLINE;
}

async function signIn(): Promise<string> {
  const key = takeKey();
  if (key !== null) {
    // Emptied and left open: whoever waits for this page to have loaded waits for the one that follows.
    document.open();
    const why = await exchange(key);
    if (why) sessionStorage.setItem(WHY, why);
    location.reload();
    await new Promise(() => undefined);
  }
  const why = sessionStorage.getItem(WHY) ?? '';
  sessionStorage.removeItem(WHY);
  return why;
}

/** Why the key was not taken, as a sentence; empty when there is nothing to say. The rest of the page waits for it. */
export const refusedBecause = await signIn();

/** Acts when the key came later: into the address of this open page, or of another tab (then `why` is empty). */
export function onLaterKey(act: (why: string) => void): void {
  addEventListener('hashchange', () => {
    const key = takeKey();
    if (key !== null) void exchange(key).then(act);
  });
  tabs.addEventListener('message', () => act(''));
}
