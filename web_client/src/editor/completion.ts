// SPDX-License-Identifier: AGPL-3.0-or-later
/** Completion of sound names, ours, and of functions with their documentation, Strudel's own. */
import {
  autocompletion,
  completionStatus,
  selectedCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  type CompletionSource,
} from '@codemirror/autocomplete';
import { syntaxTree } from '@codemirror/language';
import { Prec } from '@codemirror/state';
import { keymap } from '@codemirror/view';
import { extensions } from '@strudel/codemirror';
import { el } from '../ui/dom';

export interface Offered {
  name: string;
  kind: string;
  /** A few facts, such as a tempo; may be empty. */
  facts: string;
}

export interface CompletionOptions {
  sounds: () => Offered[];
  /** Lets a player hear a sound. */
  preview: (name: string) => void;
}

/** The name of the setting in Strudel's editor. */
export const SETTING = 'isAutoCompletionEnabled';

const SOUND = /(?:^|[^\w$])(?:s|sound)\(\s*(["'`])(?:(?!\1)[^\n])*$/;
const NAME = /[\w.#-]*$/;
/** Arguments that Strudel completes inside a text. */
const STRUDELS_TEXT = /\b(?:chord|scale|mode)\(\s*["'][^"']*$/;

/** Strudel's switch for completion completes with ours from now on. */
export function mendCompletion(options: CompletionOptions): void {
  const strudels = overrideOf(extensions[SETTING]?.(true));
  const listen = Prec.highest(
    keymap.of([
      {
        key: 'Alt-p',
        run: ({ state }) => {
          const chosen = completionStatus(state) === 'active' ? selectedCompletion(state) : null;
          if (chosen?.type !== 'sound') return false;
          options.preview(chosen.label);
          return true;
        },
      },
    ]),
  );
  const config = autocompletion({ override: [(context) => sounds(context, options), functions(strudels)], icons: false });
  extensions[SETTING] = (on) => (on ? [listen, config] : []);
}

/** The names that fit what stands before the caret in `s("…")`. */
export function sounds(context: CompletionContext, { sounds: all, preview }: CompletionOptions): CompletionResult | null {
  const before = context.state.doc.lineAt(context.pos);
  const text = before.text.slice(0, context.pos - before.from);
  if (!SOUND.test(text)) return null;
  const word = NAME.exec(text)?.[0] ?? '';
  if (word === '' && !context.explicit) return null;
  const options = all().map(({ name, kind, facts }) => ({
    label: name,
    type: 'sound',
    detail: [kind, facts].filter(Boolean).join(' · '),
    info: () => listening(name, preview),
  }));
  return { from: context.pos - word.length, options, validFor: /^[\w.#-]*$/ };
}

function listening(name: string, preview: (name: string) => void): Node {
  const act = (event: Event): void => {
    event.preventDefault(); // the caret stays in the code
    preview(name);
  };
  return el('button', { type: 'button', className: 'listen', onmousedown: act, aria: { label: `Listen to ${name}` } }, '▶ Alt-P');
}

/** Strudel completes every word, in comments and texts too. */
function functions(strudels: readonly CompletionSource[]): CompletionSource {
  return async (context) => {
    const { name } = syntaxTree(context.state).resolveInner(context.pos, -1);
    const before = context.state.doc.lineAt(context.pos);
    const text = before.text.slice(0, context.pos - before.from);
    if (name.includes('Comment') || SOUND.test(text)) return null;
    if ((name === 'String' || name.includes('Template')) && !STRUDELS_TEXT.test(text)) return null;
    for (const source of strudels) {
      const found = await source(context);
      // What is typed in full needs no list, which would take the next Enter.
      if (found && !found.options.some(({ label }: Completion) => label === text.slice(found.from - before.from))) return found;
    }
    return null;
  };
}

/** The sources that an extension gives to the completion: @strudel/codemirror 1.3.0 does not export its own. */
function overrideOf(extension: unknown): readonly CompletionSource[] {
  if (Array.isArray(extension)) return extension.flatMap(overrideOf);
  const { value } = (extension ?? {}) as { value?: { override?: readonly CompletionSource[] } };
  return value?.override ?? [];
}

