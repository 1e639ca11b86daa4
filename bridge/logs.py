"""The log: lines for people on a terminal, JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from bridge.settings import Settings


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _QuietBadRequests(logging.Filter):
    """aiohttp writes a traceback for every malformed request: 5.5 MB for 10,000 of them. One line each is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0] and "BadHttp" in str(record.exc_info[0].__mro__):
            record.exc_info, record.levelno, record.levelname = None, logging.DEBUG, "DEBUG"
            return logging.getLogger("bridge").isEnabledFor(logging.DEBUG)
        return True


def configure_logging(settings: Settings) -> None:
    """Set the root logger up, on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    human = settings.log_format == "human" or (settings.log_format == "auto" and sys.stderr.isatty())
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S") if human else _Json())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.server").addFilter(_QuietBadRequests())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
