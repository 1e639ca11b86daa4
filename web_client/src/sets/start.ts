// SPDX-License-Identifier: AGPL-3.0-or-later
/** Which set a tab begins with. Nothing of it is evaluated. */
import type { Claims } from './claims';
import { dropOldCode, oldCode, readDraft } from './draft';
import { newSet, lines, type Keeper, type LocalSet } from './model';
import { readLink } from './share';

export interface Begun {
  set: LocalSet;
  /** Is it in the keeper? An untouched one is not. */
  kept: boolean;
  /** What is to be said of it. */
  said: string;
  problem: boolean;
}

const DELETED_FOR_MS = 24 * 3600 * 1000;

/** Takes what a link brings; else what this tab had; else what was changed last and no other tab has; else `example`. */
export async function begin(keeper: Keeper, claims: Claims, hash: string, example: string): Promise<Begun> {
  await forgetDeleted(keeper);
  const begun = await withoutLink(keeper, claims, example);
  if (!isLink(hash)) return begun;
  const shared = readLink(hash);
  if ('why' in shared) return { ...begun, said: shared.why, problem: true };
  const known = (await keeper.sets()).find(({ code, deleted }) => code === shared.code && deleted === null);
  if (known && (known.id === begun.set.id || (await claims.claim(known.id, false)))) {
    if (known.id !== begun.set.id) claims.release(begun.set.id);
    return { set: known, kept: true, said: `This link is your set "${known.name}". Press Play to hear it.`, problem: false };
  }
  claims.release(begun.set.id);
  const set = newSet(shared.name ?? nextName(await keeper.sets(), 'Shared set'), shared.code);
  await claims.claim(set.id, false);
  await keeper.put(set);
  return { set, kept: true, said: `${opened(set)} Nothing of it runs until you press Play.`, problem: false };
}

/** Does the part of an address behind # mean code? The key has its own form. */
export function isLink(hash: string): boolean {
  return hash.length > 1 && !hash.startsWith('#token=');
}

export const opened = (set: LocalSet): string => `The link is open as a new set, "${set.name}".`;

/** "Set 3", where there are 1 and 2. */
export function nextName(sets: readonly LocalSet[], word: string): string {
  const taken = new Set(sets.map(({ name }) => name));
  let number = 1;
  while (taken.has(`${word} ${number}`)) number++;
  return `${word} ${number}`;
}

async function withoutLink(keeper: Keeper, claims: Claims, example: string): Promise<Begun> {
  const plain = { kept: true, said: '', problem: false };
  const sets = await keeper.sets();
  const draft = readDraft();
  if (draft) {
    const known = await keeper.get(draft.id);
    const newer = !known || draft.at > known.changed;
    const base = known ?? { ...newSet(draft.name, draft.code), id: draft.id };
    const set = newer ? { ...base, name: draft.name, code: lines(draft.code), changed: draft.at } : base;
    if (await claims.claim(draft.id, true)) {
      if (known && newer) await keeper.put(set);
      return { ...plain, set: { ...set, deleted: null }, kept: known !== undefined };
    }
    const copy = newSet(nextName(sets, `${set.name} copy`), set.code);
    await claims.claim(copy.id, false);
    await keeper.put(copy);
    return { ...plain, set: copy, said: `"${set.name}" is open in another tab. This tab has a copy of it.` };
  }
  const old = oldCode();
  if (old !== null) {
    const set = newSet(nextName(sets, 'Set'), lines(old));
    await claims.claim(set.id, false);
    await keeper.put(set);
    dropOldCode();
    return { ...plain, set };
  }
  const [last] = sets.filter(({ deleted }) => deleted === null).sort((a, b) => b.changed - a.changed);
  if (last && (await claims.claim(last.id, false))) return { ...plain, set: last };
  const set = newSet(nextName(sets, 'Set'), example);
  await claims.claim(set.id, false);
  return { ...plain, set, kept: false };
}

async function forgetDeleted(keeper: Keeper): Promise<void> {
  for (const { id, deleted } of await keeper.sets()) {
    if (deleted !== null && deleted < Date.now() - DELETED_FOR_MS) await keeper.remove(id);
  }
}
