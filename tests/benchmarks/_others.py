"""Other file servers to stand beside ours; each is a context that yields the URL of a WAV."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.benchmarks._bridge import clean_environment, free_port
from tests.benchmarks._figure import Skipped

SAMPLER = "@strudel/sampler@0.2.4"

_NGINX = """\
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  types {{ audio/wav wav; }}
  keepalive_requests 1000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@contextlib.asynccontextmanager
async def bare_aiohttp(file: Path) -> AsyncIterator[str]:
    """Serve with aiohttp's FileResponse and nothing else."""
    port = free_port()
    command = (sys.executable, "-P", "-m", "tests.benchmarks._bare", str(file), str(port))
    async with _listening(command, port):
        yield f"http://127.0.0.1:{port}/sample.wav"


@contextlib.asynccontextmanager
async def nginx(file: Path, scratch: Path) -> AsyncIterator[str]:
    """Serve with one worker of nginx. Raises Skipped."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Skipped("nginx is not installed. On Debian and Ubuntu: apt install nginx-light.")
    port = free_port()
    folder = scratch / "nginx"
    folder.mkdir()
    scratch.chmod(0o755)  # its worker gives up root's rights
    folder.chmod(0o755)
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, port=port, root=file.parent), encoding="utf-8")
    async with _listening((program, "-p", str(folder), "-c", str(settings), "-g", "daemon off;"), port):
        yield f"http://127.0.0.1:{port}/{file.name}"


@contextlib.asynccontextmanager
async def strudel_sampler(file: Path, scratch: Path) -> AsyncIterator[str]:
    """Serve with @strudel/sampler, which lists its folder at every request. Raises Skipped."""
    program = scratch / "node_modules" / "@strudel" / "sampler" / "sample-server.mjs"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Skipped("node and npm are not installed.")
    install = (npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(scratch), SAMPLER)
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*install, cwd=scratch, stdout=quiet, stderr=quiet)
    if await process.wait() or not program.exists():
        raise Skipped(f"npm could not install {SAMPLER}.")
    port = free_port()
    async with _listening((node, str(program), "--dir", str(file.parent)), port, PORT=str(port)):
        yield f"http://127.0.0.1:{port}/{file.name}"


@contextlib.asynccontextmanager
async def _listening(command: Sequence[str], port: int, **environment: str) -> AsyncIterator[None]:
    """Run a program until the context ends; begin when it takes connections."""
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, env=clean_environment() | environment, cwd=os.path.abspath(os.sep), stdout=quiet, stderr=quiet
    )
    try:
        deadline = time.monotonic() + 20
        while not _takes_connections(port):
            if process.returncode is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(command)} does not listen on port {port}.")
            await asyncio.sleep(0.02)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _takes_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
