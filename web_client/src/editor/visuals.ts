// SPDX-License-Identifier: AGPL-3.0-or-later
/** The pictures inside the code (`_pianoroll()`, `_scope()` and the like), each below its line.
 *
 * Mends @strudel/codemirror 1.3.0 with @codemirror/view 6.43.15. Strudel's own `BlockWidget` says of any two pictures
 * that they are equal, and stands in the middle of a line. CodeMirror keeps the DOM of equal widgets, so the second
 * picture made lines of code disappear until the page was reloaded. Here two pictures are equal when they show the same
 * canvas, each has a box of its own, and all stand behind the ends of lines. Look at this file again when one of the two
 * packages changes: `tests/browser/test_visuals.py` tells.
 */
import { MapMode, StateField, type ChangeDesc, type Extension, type Text } from '@codemirror/state';
import { Decoration, EditorView, WidgetType, type DecorationSet } from '@codemirror/view';
import { addWidget, BlockWidget, widgetPlugin, type WidgetConfig } from '@strudel/codemirror';

class Picture extends WidgetType {
  constructor(private readonly canvas: HTMLElement) {
    super();
  }

  override eq(other: Picture): boolean {
    return other.canvas === this.canvas;
  }

  override toDOM(): HTMLElement {
    const box = document.createElement('div');
    box.className = 'visual';
    box.append(this.canvas);
    return box;
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

const pictures = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(shown, transaction) {
    let now = transaction.docChanged ? moved(shown, transaction.changes, transaction.newDoc) : shown;
    for (const effect of transaction.effects) {
      if (effect.is(addWidget)) now = placed(effect.value, transaction.newDoc);
    }
    return now;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** Takes the place of Strudel's own in every editor that is made from now on. */
export function mendVisuals(): void {
  (widgetPlugin as Extension[]).splice(0, widgetPlugin.length, pictures);
}

function placed(configs: WidgetConfig[], doc: Text): DecorationSet {
  const found = configs.flatMap((config) => {
    // What Strudel keeps under the picture's id. It has none when its code was not run.
    const canvas = new BlockWidget(config).toDOM() as HTMLElement | undefined;
    return canvas ? [{ at: Math.min(config.to, doc.length), canvas }] : [];
  });
  found.sort((a, b) => a.at - b.at);
  return Decoration.set(found.map(({ at, canvas }) => below(canvas, doc.lineAt(at).to)));
}

/** A picture stays with the line that it belonged to, and goes with it. */
function moved(shown: DecorationSet, changes: ChangeDesc, doc: Text): DecorationSet {
  const kept: ReturnType<typeof below>[] = [];
  for (const at = shown.iter(); at.value; at.next()) {
    const to = changes.mapPos(at.from, -1, MapMode.TrackDel);
    if (to !== null) kept.push(at.value.range(doc.lineAt(to).to));
  }
  return Decoration.set(kept);
}

const below = (canvas: HTMLElement, at: number): ReturnType<Decoration['range']> =>
  Decoration.widget({ widget: new Picture(canvas), block: true, side: 1 }).range(at);

