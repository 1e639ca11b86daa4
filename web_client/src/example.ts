// SPDX-License-Identifier: AGPL-3.0-or-later

/** What a new player finds in the editor: the common stems, and one sound that does not exist yet. */
export const EXAMPLE = `// Ctrl+Enter plays and updates. Ctrl+. stops.
setcpm(120 / 4)

$: s("bd*4").gain(.9)
$: s("~ cp ~ cp").room(.3).gain(.6)
$: s("hh*8").gain("[.25 .5]*4").pan(sine.range(.3, .7))
$: note("c2 [~ c2] <eb2 g2> [bb1 c3]").s("gen_acid_bass")
  .clip(.8).gain(.5).color('#67d7c4')._pianoroll({ fold: 1 })

// A name that does not exist yet is silent at first. The bridge
// makes it now, and it joins in while the pattern plays.
$: s("gen_dusty_vinyl_break").loopAt(2).gain(.5)
`;
