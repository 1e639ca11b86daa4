// SPDX-License-Identifier: AGPL-3.0-or-later
/** Why a sample could not be loaded, in words for a player. */

export type FailureKind =
  /** The server does not answer, or is in trouble: worth another try. */
  | 'unreachable'
  /** The address is not there any more. */
  | 'gone'
  /** Another server's address, which this page may not ask or which does not answer. */
  | 'foreign'
  /** The bytes are not audio that this browser can decode. */
  | 'not_audio';

export class LoadFailure extends Error {
  constructor(
    readonly kind: FailureKind,
    message: string,
  ) {
    super(message);
    this.name = 'LoadFailure';
  }
}

/** What a player is told of a sound that failed; `reason` is whatever a load was rejected with. */
export function failureSentence(name: string, reason: unknown): string {
  const kind = reason instanceof LoadFailure ? reason.kind : 'unreachable';
  if (kind === 'gone') return `${name}: the bridge does not have this sample any more. What is playing continues.`;
  if (kind === 'foreign') {
    return `${name}: its address cannot be reached, because this page loads sounds only from its own bridge. The rest plays.`;
  }
  if (kind === 'not_audio') return `${name}: this sample is not audio that the browser can decode. What is playing continues.`;
  return `${name} cannot be loaded, because the bridge does not answer. It joins by itself when the bridge is back.`;
}

/** Fetches the bytes of a sample. Rejects with a LoadFailure alone. */
export async function fetchBytes(url: string, fresh = false): Promise<ArrayBuffer> {
  let response: Response;
  try {
    response = await fetch(url, fresh ? { cache: 'reload' } : {});
  } catch {
    throw new LoadFailure(isForeign(url) ? 'foreign' : 'unreachable', `${url} cannot be reached.`);
  }
  if (response.status === 404 || response.status === 410) throw new LoadFailure('gone', `${url} is gone.`);
  if (!response.ok) throw new LoadFailure('unreachable', `${url} answered ${response.status}.`);
  try {
    return await response.arrayBuffer();
  } catch {
    throw new LoadFailure('unreachable', `${url} broke off.`);
  }
}

const isForeign = (url: string): boolean => /^https?:/.test(url) && new URL(url).origin !== location.origin;
