"""The log: lines for people on a terminal, JSON for programs; both name the request that a line belongs to."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime

from bridge.settings import Settings

_request: ContextVar[str | None] = ContextVar("request_id", default=None)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


def current_request() -> str | None:
    """The id of the request that is being worked for, None when no request asked."""
    return _request.get()


def request_id_from(header: str | None) -> str:
    """The caller's own id where it is a plain word of at most 64 characters, else a new one."""
    return header if header is not None and _REQUEST_ID.fullmatch(header) else secrets.token_hex(8)


@contextlib.contextmanager
def working_for(request_id: str | None) -> Iterator[None]:
    """Every line that is logged inside names this request; tasks that are started inside keep it."""
    token = _request.set(request_id)
    try:
        yield
    finally:
        _request.reset(token)


class _Named(logging.Filter):
    """Gives each record the request that it belongs to, at the moment when it is written."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            record.request_id = _request.get()
        return True


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", None):
            line["request_id"] = request_id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        request_id = getattr(record, "request_id", None)
        text = super().format(record)
        # Behind the sentence, and not behind a traceback.
        first, newline, rest = text.partition("\n")
        return f"{first} [{request_id}]{newline}{rest}" if request_id else text


def configure_logging(settings: Settings) -> None:
    """Set the root logger up, on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    human = settings.log_format == "human" or (settings.log_format == "auto" and sys.stderr.isatty())
    handler.setFormatter(_Human("%(asctime)s %(message)s", "%H:%M:%S") if human else _Json())
    handler.addFilter(_Named())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
