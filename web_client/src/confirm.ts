// SPDX-License-Identifier: AGPL-3.0-or-later
/** Calls that take something away. A person confirms them in a frame of the bridge, which code in this page, a pattern's
 * included, can neither read nor click; what the frame gives away lets this one call pass. */

export type Changed = { done: true; document: Record<string, unknown> } | { done: false; why: string };

/** Shows the frame at `address`; what it gave away, or null when the person said no. */
export type Ask = (address: string) => Promise<string | null>;

/** Sends a call, and once more when it was confirmed. `why` is empty when the person said no. */
export async function change(method: string, path: string, body: unknown, ask: Ask): Promise<Changed> {
  const first = await send(method, path, body, {});
  const address = first.error?.confirm;
  if (first.status !== 428 || typeof address !== 'string') return first.result;
  const secret = await ask(address);
  if (secret === null) return { done: false, why: '' };
  return (await send(method, path, body, { 'X-Confirmation': secret })).result;
}

interface Sent {
  status: number;
  error: { message?: unknown; confirm?: unknown } | undefined;
  result: Changed;
}

async function send(method: string, path: string, body: unknown, headers: Record<string, string>): Promise<Sent> {
  try {
    const response = await fetch(path, {
      method,
      headers: body === undefined ? headers : { ...headers, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const document = (await response.json()) as Record<string, unknown>;
    const error = document['error'] as Sent['error'];
    const why = typeof error?.message === 'string' ? error.message : 'The bridge refused it.';
    return { status: response.status, error, result: response.ok ? { done: true, document } : { done: false, why } };
  } catch {
    return { status: 0, error: undefined, result: { done: false, why: 'The bridge does not answer. Nothing was changed.' } };
  }
}
