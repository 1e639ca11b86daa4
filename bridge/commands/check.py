"""``sample-bridge check``: smoke test of a running server."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.commands._progress import printable
from bridge.errors import StartupError

if TYPE_CHECKING:
    from bridge.commands._checks import Check, Probe

    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way

OK, FAILED, NOT_TRIED = "ok", "failed", "not tried"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found."""

    name: str
    state: str
    detail: str


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("check", help="smoke test of a running server")
    parser.add_argument("url", metavar="URL", help="where it listens, such as http://localhost:5001")
    parser.add_argument("--full", action="store_true", help="also formats, stems, tasks, refusals and the page")
    parser.add_argument("--api-key", metavar="KEY", help="the server's key; without it BRIDGE_API_KEY")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line for each check; 0 when all are well, else 1. Raises StartupError when no server answers."""
    from bridge.settings import load

    url = base_url(args.url)
    key = args.api_key
    if key is None:
        key = next(iter(load().all_keys.values()), None)
    findings = asyncio.run(look(url, key, full=args.full, quiet=args.json))
    bad = [finding for finding in findings if finding.state != OK]
    if args.json:
        checks = [asdict(finding) for finding in findings]
        print(json.dumps({"url": url, "ok": not bad, "checks": checks}, indent=2, ensure_ascii=False))
    else:
        print(f"\n{len(findings) - len(bad)} of {len(findings)} checks ok: {url}")
    return 1 if bad else 0


def base_url(text: str) -> str:
    """Read what people type: ``localhost:5001`` is meant as a web address, too. Raises StartupError."""
    whole = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise StartupError(f"'{text}' is not a web address. Give one such as http://localhost:5001.", code="bad_url")
    return whole.rstrip("/")


async def look(url: str, key: str | None, *, full: bool, quiet: bool) -> list[CheckResult]:
    """Run the checks one after the other, and take away what they made. Raises StartupError when no server answers."""
    from aiohttp import ClientError, ClientSession

    from bridge.commands._checks import BASIC, QUICK, Probe, clean_up
    from bridge.commands._checks_full import FULL

    checks: Mapping[str, Check] = FULL if full else BASIC
    width = max(len(name) for name in (*FULL, "clean up"))
    findings: list[CheckResult] = []
    async with ClientSession(headers={"X-API-Key": key} if key else {}) as session:
        try:
            await (await session.get(f"{url}/health", timeout=QUICK)).read()
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            reason = getattr(getattr(error, "os_error", error), "strerror", None) or type(error).__name__
            raise StartupError(
                f"No server answers at {url} ({reason}). "
                "Start the server with `sample-bridge serve`, or check the address.",
                code="server_unreachable",
            ) from None
        probe = Probe(session, url, key)
        try:
            for name, check in checks.items():
                findings.append(await _find(name, check, probe))
                _tell(findings[-1], width, quiet=quiet)
        finally:
            # Also after Ctrl-C: nothing of the test stays in anybody's library.
            findings.append(await _find("clean up", clean_up, probe))
        _tell(findings[-1], width, quiet=quiet)
    return findings


async def _find(name: str, check: Check, probe: Probe) -> CheckResult:
    from bridge.commands._checks import CheckFailed, NotTried

    try:
        return CheckResult(name, OK, await check(probe))
    except CheckFailed as failed:
        return CheckResult(name, FAILED, str(failed))
    except NotTried as reason:
        return CheckResult(name, NOT_TRIED, str(reason))
    except Exception as error:  # whatever a server may answer, the other checks continue
        return CheckResult(name, FAILED, f"{type(error).__name__}: {error}")


def _tell(finding: CheckResult, width: int, *, quiet: bool) -> None:
    if quiet:
        return
    # What a server says is printed on somebody's terminal.
    print(f"{finding.name:<{width}}  {finding.state:<9}  {printable(finding.detail)}".rstrip(), flush=True)
