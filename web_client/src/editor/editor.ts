// SPDX-License-Identifier: AGPL-3.0-or-later
/** The code as a player sees it: marks where something is wrong, and what can be done about it. */
import { StateEffect } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { explain, plain, sentence, type Language } from './faults';
import { mark, marking, marksOf, type Remedy } from './marks';
import { placesOf, type Place } from './places';
import { nearest } from './spelling';

export interface EditorOptions {
  language: Language;
  /** Names that sound. */
  sounds: () => Iterable<string>;
  /** A sentence for the player, who may not look at the code. */
  onProblem: (message: string) => void;
}

const CODE = 'evaluation';
const sound = (name: string): string => `sound ${name}`;

export class CodeEditor {
  constructor(
    readonly view: EditorView,
    private readonly options: EditorOptions,
  ) {
    const named = EditorView.contentAttributes.of({ 'aria-label': 'Code' });
    view.dispatch({ effects: StateEffect.appendConfig.of([marking, named]) });
    view.scrollDOM.tabIndex = 0; // long lines are scrolled by the arrow keys, too
  }

  /** Code was evaluated and uses these names; what was wrong with others is of no interest any more. */
  evaluated(names: readonly string[]): void {
    mark(this.view, CODE, []);
    const kept = new Set(names.map(sound));
    const gone = new Set(marksOf(this.view).map(({ source }) => source));
    for (const source of gone) if (!kept.has(source)) mark(this.view, source, []);
  }

  /** Code could not be evaluated. */
  failed(error: Error, code: string): void {
    const fault = explain(error, code, this.options.language);
    this.options.onProblem(fault ? `Line ${lineOf(code, fault.from)}: ${fault.message}` : plain(error.message));
    if (!fault) return mark(this.view, CODE, []);
    const remedies = fault.instead.map((text) => this.replacing(CODE, text));
    mark(this.view, CODE, [{ ...fault, remedies }]);
  }

  /** No sound has this name, and none is being made. */
  missing(name: string): void {
    if (this.marked(name)) return;
    const instead = nearest(name, this.options.sounds());
    this.trouble(name, sentence(`There is no sound called ${name}.`, instead), instead);
  }

  /** Something is the matter with a sound: it is marked wherever the code names it. `instead`: names that may have been
   * meant; `remedies`: what else can be done. */
  trouble(name: string, message: string, instead: readonly string[] = [], remedies: readonly Remedy[] = []): void {
    const places = placesOf(name, this.view.state.doc.toString());
    const offered = [...instead.map((text) => this.replacing(sound(name), text)), ...remedies];
    mark(this.view, sound(name), places.map((place, i) => ({ ...place, message, remedies: i === 0 ? offered : [] })));
    this.options.onProblem(message);
  }

  /** What was the matter with a sound is over. */
  settled(name: string): void {
    mark(this.view, sound(name), []);
  }

  private marked(name: string): boolean {
    return marksOf(this.view).some(({ source }) => source === sound(name));
  }

  private replacing(source: string, text: string): Remedy {
    return {
      label: text,
      run: () => {
        const places: Place[] = marksOf(this.view).filter((each) => each.source === source);
        this.view.dispatch({ changes: places.map(({ from, to }) => ({ from, to, insert: text })) });
        this.view.focus();
      },
    };
  }
}

const lineOf = (code: string, at: number): number => code.slice(0, at).split('\n').length;
