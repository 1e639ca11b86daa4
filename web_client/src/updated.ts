// SPDX-License-Identifier: AGPL-3.0-or-later

/** Notices that the bridge was updated while the page stayed open. */
export class ServerVersion {
  private first: string | null = null;

  /** A sentence when this version is another one than at first, once for each; else null. */
  seen(version: string): string | null {
    const before = this.first;
    this.first = version || before;
    if (!version || before === null || before === version) return null;
    return `The bridge is now version ${version}. What is playing continues; reload the page when it suits you.`;
  }
}
