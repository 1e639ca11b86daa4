"""``sample-bridge serve``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import logging
import os
import resource
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.errors import StartupError

if TYPE_CHECKING:
    from bridge.settings import Settings

logger = logging.getLogger("bridge")

_GRACE_SECONDS = 5.0
_LONGEST_STOP = 30.0
"""Seconds that stopping may take."""
_OPEN_FILES = 65536

_SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter while others wait. Python's 5 ms make a read of one kept sample, which
changes threads several times, wait for each of the turns of a thread that builds the map of a large library."""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("serve", help="start the server and its page")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="TCP port (5001); 0 takes a free one")
    parser.add_argument("--also-port", type=int, help="a second port, such as 5432 for samples('local:')")
    parser.add_argument("--data-dir", type=Path, help="folder of the catalogue and the sounds")
    parser.add_argument("--engine", help="procedural, musicgen, tone, ... or auto")
    parser.add_argument("--model", help="hub id, folder or size of MusicGen's weights")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--no-pregenerate", dest="pregenerate", action="store_false", default=None,
                        help="do not make the common stems after start")  # fmt: skip
    parser.add_argument("--config", type=Path, help="a TOML file instead of ./bridge.toml")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    from bridge import settings as settings_module
    from bridge.logs import configure_logging

    names = ("host", "port", "also_port", "data_dir", "engine", "model", "device", "pregenerate")
    settings = settings_module.load({name: getattr(options, name) for name in names}, config=options.config)
    configure_logging(settings)
    for sentence in settings.foreign:
        # A file that was found must not turn off by its log_level what is said about it.
        logger.log(max(logging.WARNING, logger.getEffectiveLevel()), "%s", sentence)
    for note in settings.notes:
        logger.warning("%s", note)
    allow_open_files()
    sys.setswitchinterval(_SWITCH_SECONDS)
    asyncio.run(serve(settings))
    return 0


def allow_open_files() -> None:
    """Raise this process's own limit of open files as far as the system lets it.

    Every connected page is one; shells give 1024, or 256, unless more is asked for.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the system knows a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(settings: Settings) -> None:
    """Listen, open the service, answer. Ports are taken before the data folder is touched."""
    from aiohttp import web

    from bridge.api.keys import CALLERS
    from bridge.api.security.connection import Runner
    from bridge.app import create_app
    from bridge.client.server_file import announced
    from bridge.rights.keys import check_key_lengths, exposure_notice
    from bridge.sounds.opening import open_service

    if weak := check_key_lengths(settings):
        logger.warning("%s", weak)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop_opening, stop)
    listener = _listen(settings.host, settings.port)
    also = _listen_also(settings)
    async with open_service(settings) as service:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        app = create_app(service)
        runner = Runner(app, access_log=None, shutdown_timeout=_GRACE_SECONDS)
        await runner.setup()
        try:
            for each in filter(None, (listener, also)):
                await web.SockSite(runner, each).start()
            port = listener.getsockname()[1]
            with announced(settings, port, app[CALLERS].run_key):
                _greet(settings, port, service.choice.why, exposure_notice(settings))
                for warned in service.missing.known:
                    logger.warning("%s", warned.text)
                await stop.wait()
                logger.info("Stopping.")
                _end_in_any_case(_LONGEST_STOP)
        finally:
            await runner.cleanup()


def _stop_opening(stop: asyncio.Event) -> None:
    """Stop as soon as the data folder is open, and end if that does not come soon: a thread that waits for the disk
    cannot be interrupted.
    """
    if not stop.is_set():
        stop.set()
        logger.info("Stopping.")
        _end_in_any_case(_GRACE_SECONDS)


def _end_in_any_case(seconds: float) -> None:
    """Let the process end when a disk that hangs keeps it from stopping cleanly.

    Nothing that was promised is lost by it: databases and journal are whole after any end.
    """

    def end() -> None:
        logger.error("The bridge could not stop cleanly within %.0f s: a disk does not answer. It ends now.", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message = f"Port {port} is in use. Stop what runs there, or choose another with --port {port + 1}."
            raise StartupError(message, code="port_in_use") from None
        if error.errno == errno.EACCES:
            message = f"Port {port} may not be used by this user. Choose one from 1024 up with --port."
            raise StartupError(message, code="port_forbidden") from None
        message = f"The address {host}:{port} cannot be listened on ({error.strerror}). Check --host and --port."
        raise StartupError(message, code="bad_address") from None
    except OverflowError:
        listener.close()
        raise StartupError(f"{port} is not a port. Choose 0 to 65535 with --port.", code="bad_address") from None
    return listener


def _listen_also(settings: Settings) -> socket.socket | None:
    if settings.also_port is None:
        return None
    try:
        return _listen(settings.host, settings.also_port)
    except StartupError:
        # The first port serves on: a set must not fail to start for a convenience.
        logger.warning(
            "Port %d is taken%s, so samples('local:') will not find this server.",
            settings.also_port,
            " (PostgreSQL and @strudel/sampler use it)" if settings.also_port == 5432 else "",
        )
        return None


def _greet(settings: Settings, port: int, why: str, exposure: str | None) -> None:
    shown = "localhost" if settings.host in ("127.0.0.1", "::1") else settings.host
    logger.info("Sample Bridge listens on http://%s:%d (data folder: %s)", shown, port, settings.data_dir)
    logger.info("%s", why)
    if exposure:
        logger.warning("%s", exposure)
    if sys.stdout.isatty():
        print(f"\n  Open http://{shown}:{port} in your browser.\n", flush=True)
