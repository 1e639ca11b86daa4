"""The plainest file server that aiohttp can be: ``python -P -m tests.benchmarks._bare FILE PORT``."""

from __future__ import annotations

import sys

from aiohttp import web


def main(file: str, port: str) -> None:
    """Answer every GET of ``/sample.wav`` with the file; no middleware, no log, no header of our own."""

    async def answer(_: web.Request) -> web.FileResponse:
        return web.FileResponse(file)

    app = web.Application()
    app.add_routes([web.get("/sample.wav", answer)])
    web.run_app(app, host="127.0.0.1", port=int(port), access_log=None, print=lambda *_: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
