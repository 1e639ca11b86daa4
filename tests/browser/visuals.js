// Random edits and evaluations of code with one to five pictures; tells the first time that what is shown is not the
// document. Evaluated in the page: (seed, count) => what was wrong, or null.
async ([seed, count]) => {
  const content = document.querySelector('.cm-content');
  const view = content.cmTile.view;
  let state = seed >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const below = (most) => Math.floor(random() * most);
  const pick = (list) => list[below(list.length)];
  const frames = (many) =>
    new Promise((resolve) => {
      const next = () => (many-- > 0 ? requestAnimationFrame(next) : resolve());
      next();
    });
  const kinds = ['_pianoroll', '_scope', '_punchcard', '_spectrum', '_spiral', '_pitchwheel'];
  const visual = () => pick([`.${pick(kinds)}()`, `.${pick(kinds)}({ fold: 1 })`, `.${pick(kinds)}().gain(.2)`]);
  const sound = () => `$: note("${pick(['c3', 'e3 g3', '<a2 b2>', 'd4*3'])}").s("${pick(['sine', 'triangle'])}")`;
  const line = () => (random() < 0.7 ? sound() + visual() : random() < 0.5 ? sound() : `// ${below(1e6)}`);
  const doc = () => view.state.doc;
  const pictures = () => (doc().toString().match(/\._(pianoroll|scope|punchcard|spectrum|spiral|pitchwheel)\(/g) ?? []).length;
  const edits = {
    add: () => {
      if (pictures() >= 5) return edits.remove();
      const at = doc().line(1 + below(doc().lines));
      view.dispatch({ changes: random() < 0.5 ? { from: at.to, insert: `\n${line()}` } : { from: at.from, insert: `${line()}\n` } });
    },
    remove: () => {
      const at = doc().line(1 + below(doc().lines));
      if (doc().lines > 1) view.dispatch({ changes: { from: Math.max(0, at.from - 1), to: at.to } });
    },
    type: () => view.dispatch({ changes: { from: doc().line(1 + below(doc().lines)).to, insert: ` // ${below(99)}` } }),
    blank: () => view.dispatch({ changes: { from: doc().line(1 + below(doc().lines)).to, insert: '\n' } }),
    replace: () => {
      const at = doc().line(1 + below(doc().lines));
      view.dispatch({ changes: { from: at.from, to: at.to, insert: line() } });
    },
    move: () => {
      const at = doc().line(1 + below(doc().lines));
      const text = at.text;
      if (doc().lines < 2) return;
      view.dispatch({ changes: { from: Math.max(0, at.from - 1), to: at.to } });
      view.dispatch({ changes: { from: doc().length, insert: `\n${text}` } });
    },
    break: () => {
      broken = below(doc().length + 1);
      view.dispatch({ changes: { from: broken, insert: pick(['(', '"', ')', '\n;)']).padEnd(3) } });
    },
    fresh: () => {
      const lines = Array.from({ length: 1 + below(4) }, () => sound() + visual());
      view.dispatch({ changes: { from: 0, to: doc().length, insert: lines.join('\n') } });
    },
    key: () => {
      const at = doc().line(1 + below(doc().lines));
      if (!at.text.includes('//')) return;
      view.dispatch({ selection: { anchor: at.to } });
      content.focus();
      document.execCommand('insertText', false, pick(['x', ' ', '7']));
    },
  };
  let broken = -1;
  const mend = () => {
    view.dispatch({ changes: { from: broken, to: broken + 3 } });
    broken = -1;
  };
  const wrong = () => {
    const shown = [...content.querySelectorAll('.cm-line')].map((each) => each.textContent).join('\n');
    if (shown !== doc().toString()) return `shown:\n${shown}\ndocument:\n${doc()}`;
    const numbers = [...document.querySelectorAll('.cm-lineNumbers .cm-gutterElement')].filter((each) => each.offsetHeight > 0);
    if (numbers.length !== doc().lines) return `${numbers.length} line numbers for ${doc().lines} lines`;
    return null;
  };
  edits.fresh();
  await sampleBridge.evaluate();
  for (let i = 0; i < count; i += 1) {
    const name = broken >= 0 ? 'mend' : pick(Object.keys(edits));
    if (name === 'mend') mend();
    else edits[name]();
    if (broken < 0 && (doc().lines > 14 || pictures() > 5)) edits.fresh();
    const evaluates = random() < 0.7;
    if (evaluates) await sampleBridge.evaluate();
    await frames(1);
    let found = wrong();
    // Empty code is not evaluated: what played before goes on, with its pictures.
    if (!found && evaluates && broken < 0 && doc().toString().trim() !== '') {
      const shown = content.querySelectorAll('.visual canvas').length;
      if (shown !== pictures()) found = `${shown} pictures for ${pictures()} in the code:\n${doc()}`;
    }
    if (found) return `edit ${i} (${name}): ${found}`;
  }
  return null;
}
