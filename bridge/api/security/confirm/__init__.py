"""What our own page takes away has to be confirmed by a person, in a document that code in the page cannot reach.

A pattern is code in the page. It can send what the page can send, click what the page shows, and change what the page
is. So the page is answered 428 with the address of a document. Browsers give that one, and the secret in it, to a frame
alone, under an origin of its own. When somebody who has seen it clicks, it hands the secret out, and one call passes
with it: the method, path, body and caller that were asked about. docs/security.md says what a pattern can still do.
"""
