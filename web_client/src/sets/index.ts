// SPDX-License-Identifier: AGPL-3.0-or-later
/** Puts sets into the page. */
import { askPerson } from '../ui/confirm';
import type { StatusLine } from '../ui/status';
import { SetBar } from './bar';
import { httpSets } from './bridge';
import { openClaims } from './claims';
import { fileName, writeAll } from './files';
import { Keeping } from './keeping';
import { SetsPanel } from './panel';
import { Sets } from './sets';
import { begin, isLink } from './start';

export interface SetsPage {
  status: StatusLine;
  /** Where name and buttons go. */
  root: HTMLElement;
  /** The code of a set that was never started. */
  example: string;
  setCode: (code: string) => void;
  focus: () => void;
}

/** Finds the set of this tab. Nothing is evaluated. */
export async function openSets(page: SetsPage): Promise<Sets> {
  const { status } = page;
  const keeper = await Keeping.open((message) => status.say(message, true));
  const claims = openClaims();
  const { hash } = location;
  // Before anything is shown: a reload is not to open the link once more.
  if (isLink(hash)) history.replaceState(null, '', location.pathname + location.search);
  const begun = await begin(keeper, claims, hash, page.example);
  if (begun.said) status.say(begun.said, begun.problem);
  const bridge = httpSets(askPerson);
  const sets = new Sets(
    {
      keeper,
      claims,
      bridge,
      setCode: page.setCode,
      say: (message, isError) => status.say(message, isError),
      offer: (message, label, act) => status.offer(message, label, act),
      onChange: () => {
        bar.show(sets.current, sets.conflict !== null);
        panel.refresh();
      },
    },
    begun,
  );
  const panel = new SetsPanel(sets, {
    leave: page.focus,
    exportOne: () => download(fileName(sets.current.name, '.js'), sets.current.code),
    exportAll: () => void sets.local().then((all) => download('sets.json', writeAll(all))),
    copyLink: (to) => void copyLink(sets, to, status),
    versions: async () => (sets.current.base ? (await bridge.get(sets.current.id)).versions : []),
    codeOf: (version) => bridge.version(sets.current.id, version),
  });
  const bar = new SetBar(page.root, {
    rename: (name) => sets.rename(name),
    save: () => void sets.save(),
    open: () => panel.open(),
  });
  bar.show(sets.current, false);
  addEventListener('hashchange', () => {
    const link = location.hash;
    if (!isLink(link)) return;
    history.replaceState(null, '', location.pathname + location.search);
    void sets.openLink(link);
  });
  for (const event of ['pagehide', 'visibilitychange']) addEventListener(event, () => void sets.flush());
  return sets;
}

function download(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function copyLink(sets: Sets, to: 'here' | 'strudel', status: StatusLine): Promise<void> {
  const link = sets.link(to === 'here' ? location.origin + location.pathname : 'https://strudel.cc/');
  if (link === null) return status.say('A link holds at most 1 MB of code. Export the set as a file instead.', true);
  try {
    await navigator.clipboard.writeText(link);
    status.say('The link is copied. It holds the code itself.');
  } catch {
    status.say('The browser did not let the page copy. Export the set as a file instead.', true);
  }
}
