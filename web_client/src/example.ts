// SPDX-License-Identifier: AGPL-3.0-or-later

/** What a new player finds in the editor: the common stems, and one sound that does not exist yet. */
export const EXAMPLE = `// Ctrl+Enter plays and updates, Ctrl+. stops.
setcpm(120 / 4)

$: s("bd*4").gain(.9)
$: s("~ cp").room(.3).gain(.6)
$: s("hh*8").gain("[.25 .5]*4").pan(sine.range(.3, .7))
$: s("~ ~ rim ~").delay(.4).gain(.5)

// A name that does not exist yet is silent at first.
// The bridge makes it, and it joins in while you play.
$: s("gen_dusty_vinyl_break").fit().slow(2).gain(.5)
`;
