// SPDX-License-Identifier: AGPL-3.0-or-later
/** Dark or light, as the system is: the style sheet follows by itself, the editor's colours here. */

const LIGHT = '(prefers-color-scheme: light)';

/** The name of Strudel's theme of the editor that fits. */
export function editorTheme(light: boolean): string {
  return light ? 'githubLight' : 'strudelTheme';
}

/** Calls `show` with the fitting theme now, and whenever the system changes. */
export function followTheme(show: (theme: string) => void): void {
  const light = matchMedia(LIGHT);
  const apply = (): void => show(editorTheme(light.matches));
  light.addEventListener('change', apply);
  apply();
}
