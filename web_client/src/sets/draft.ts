// SPDX-License-Identifier: AGPL-3.0-or-later
/** What this tab had last, over a reload: written at once, where a database may come too late. */

export interface Draft {
  id: string;
  name: string;
  code: string;
  at: number;
}

const KEY = 'sample-bridge.draft';
/** Where the one set of earlier versions lies, for all tabs. */
const OLD_KEY = 'sample-bridge.code';

export function readDraft(): Draft | null {
  try {
    const draft = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Draft | null;
    return draft && [draft.id, draft.name, draft.code].every((each) => typeof each === 'string') ? draft : null;
  } catch {
    return null;
  }
}

export function writeDraft(draft: Draft): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(draft));
  } catch {
    // No room, or forbidden: the database has it a moment later.
  }
}

/** The code that an earlier version kept; null when there is none any more. */
export function oldCode(): string | null {
  try {
    return localStorage.getItem(OLD_KEY);
  } catch {
    return null;
  }
}

export function dropOldCode(): void {
  try {
    localStorage.removeItem(OLD_KEY);
  } catch {
    // It stays, and is taken over again.
  }
}
