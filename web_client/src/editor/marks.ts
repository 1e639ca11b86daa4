// SPDX-License-Identifier: AGPL-3.0-or-later
/** Marks at places in the code, each with a sentence below its line and with what can be done about it. */
import { Prec, StateEffect, StateField, type Extension, type Text, type Transaction } from '@codemirror/state';
import { Decoration, EditorView, keymap, WidgetType, type DecorationSet } from '@codemirror/view';
import { el } from '../ui/dom';

export interface Remedy {
  label: string;
  run: () => void;
  /** Alt-A does it. */
  byKey?: boolean;
}

export interface Mark {
  /** Who put it there; a later set of marks of the same source replaces it. */
  source: string;
  from: number;
  to: number;
  message: string;
  remedies: Remedy[];
}

interface Marks {
  all: readonly Mark[];
  shown: DecorationSet;
}

const replace = StateEffect.define<{ source: string; marks: readonly Mark[] }>();

const field = StateField.define<Marks>({
  create: () => ({ all: [], shown: Decoration.none }),
  update(before, transaction) {
    let all = transaction.docChanged ? before.all.flatMap((mark) => moved(mark, transaction)) : before.all;
    for (const effect of transaction.effects) {
      if (!effect.is(replace)) continue;
      const { source, marks } = effect.value;
      all = [...all.filter((mark) => mark.source !== source), ...marks].sort((a, b) => a.from - b.from);
    }
    return all === before.all ? before : { all, shown: drawn(all, transaction.newDoc) };
  },
  provide: (marks) => EditorView.decorations.from(marks, ({ shown }) => shown),
});

/** A mark goes as soon as somebody writes in it. */
function moved(mark: Mark, { changes }: Transaction): Mark[] {
  if (changes.touchesRange(mark.from, mark.to) === 'cover') return [];
  let touched = false;
  changes.iterChangedRanges((from, to) => (touched ||= from < mark.to && to > mark.from));
  if (touched) return [];
  return [{ ...mark, from: changes.mapPos(mark.from, 1), to: changes.mapPos(mark.to, -1) }];
}

function drawn(all: readonly Mark[], doc: Text): DecorationSet {
  const lines = new Map<number, Mark[]>();
  const words = all.flatMap((mark) => {
    const line = doc.lineAt(mark.from);
    lines.set(line.to, [...(lines.get(line.to) ?? []), mark]);
    return mark.from < mark.to ? [Decoration.mark({ class: 'cm-fault' }).range(mark.from, mark.to)] : [];
  });
  // Below the line and its pictures.
  const notes = [...lines].map(([at, marks]) => Decoration.widget({ widget: new Note(marks), block: true, side: 2 }).range(at));
  return Decoration.set([...words, ...notes], true);
}

class Note extends WidgetType {
  constructor(private readonly marks: readonly Mark[]) {
    super();
  }

  override eq(other: Note): boolean {
    const same = (mark: Mark, i: number): boolean =>
      other.marks[i]?.message === mark.message && other.marks[i]?.remedies === mark.remedies;
    return other.marks.length === this.marks.length && this.marks.every(same);
  }

  override toDOM(): HTMLElement {
    const rows = this.marks.map(({ message, remedies }) =>
      el('p', {}, message, ...remedies.map(({ label, run }) => el('button', { type: 'button', onclick: run }, label))),
    );
    return el('div', { className: 'fault', aria: { role: 'note' } }, ...rows);
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

export function marksOf(view: EditorView): readonly Mark[] {
  return view.state.field(field).all;
}

/** Puts marks in the place of all that this source has put. */
export function mark(view: EditorView, source: string, marks: Omit<Mark, 'source'>[]): void {
  const { length } = view.state.doc;
  const within = marks
    .map((each) => ({ ...each, source, from: Math.min(each.from, length), to: Math.min(each.to, length) }));
  if (within.length === 0 && !marksOf(view).some((each) => each.source === source)) return;
  view.dispatch({ effects: replace.of({ source, marks: within }) });
}

/** F8 goes to the next mark. */
function next(view: EditorView): boolean {
  const all = marksOf(view);
  const found = all.find(({ from }) => from > view.state.selection.main.head) ?? all[0];
  if (!found) return false;
  view.dispatch({ selection: { anchor: found.from, head: found.to }, scrollIntoView: true });
  return true;
}

/** Alt-A does what the mark at the caret offers, else the first one. */
function remedy(view: EditorView): boolean {
  const { head } = view.state.selection.main;
  const able = marksOf(view).filter(({ remedies }) => remedies.some(({ byKey }) => byKey));
  const found = able.find(({ from, to }) => from <= head && head <= to) ?? able[0];
  found?.remedies.find(({ byKey }) => byKey)?.run();
  return found !== undefined;
}

export const marking: Extension = [
  field,
  Prec.high(
    keymap.of([
      { key: 'F8', run: next },
      { key: 'Alt-a', run: remedy },
    ]),
  ),
];
