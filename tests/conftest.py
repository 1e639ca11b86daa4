"""Rules for the whole suite: what may be skipped where."""

from __future__ import annotations

import os

import pytest

MAY_BE_SKIPPED = {"gpu", "extra", "arch"}
_skipped: list[tuple[str, str, bool]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes and wait a lot, so that no worker is left alone with one at the end.

    What is told to run on one instruction set may be skipped on a processor without it.
    """
    items.sort(key=lambda item: "reliability" not in item.keywords)
    for item in items:
        parameters = (
            item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
        )
        if any(str(value).startswith("avx") for value in parameters):
            item.add_marker(pytest.mark.arch)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note every skipped test, its reason, and whether it may be skipped on the build machine."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append((report.nodeid, reason, bool(MAY_BE_SKIPPED & set(report.keywords))))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many were skipped, and why."""
    terminalreporter.section("skipped")
    terminalreporter.write_line(f"{len(_skipped)} skipped")
    for name, reason, allowed in _skipped:
        terminalreporter.write_line(f"  {name}: {reason}" + ("" if allowed else "  <- may not be skipped when CI=true"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true a skip without one of the three markers fails the run."""
    if os.environ.get("CI") == "true" and any(not allowed for *_, allowed in _skipped):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
