"""Multipart forms, read part by part and piece by piece: nothing of a form is held whole in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http import HttpProcessingError

from bridge.errors import MalformedBody, TooLarge

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Form:
    """The form that a request sends; the door that reads it says in its own words how to mend it."""

    request: web.Request
    most_parts: int
    """A form with this many parts is refused."""
    advice: str
    """What to do about a form that cannot be read: the end of a sentence."""
    fewer: str
    """What to do about too many parts: a sentence."""

    async def parts(self) -> AsyncIterator[BodyPartReader]:
        """Yield the parts in their order. Raises MalformedBody, TooLarge."""
        with self._reading():
            reader = await self.request.multipart()
        for _ in range(self.most_parts):
            with self._reading():
                part = await reader.next()
            if part is None:
                return
            if isinstance(part, MultipartReader):
                raise MalformedBody(f"A part of the form holds another form; {self.advice}.")
            yield part
        raise TooLarge(f"The form has more than {self.most_parts} fields. {self.fewer}")

    async def pieces(self, part: BodyPartReader) -> AsyncIterator[bytes]:
        """Yield a part's bytes, at most 64 KiB at a time. Raises MalformedBody."""
        while not part.at_eof():
            with self._reading():
                piece = await part.read_chunk(_PIECE)
            yield piece

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what aiohttp raises of a broken form into an answer: it is the sender's to mend."""
        try:
            yield
        except (ValueError, AssertionError, RuntimeError, LookupError, HttpProcessingError, web.HTTPException) as error:
            raise MalformedBody(f"The body is not a complete multipart form; {self.advice}.") from error
