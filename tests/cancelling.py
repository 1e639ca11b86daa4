"""A listener who loses interest."""

from __future__ import annotations

from collections.abc import Callable

from bridge.errors import JobCancelled


def after(calls: int) -> tuple[Callable[[float], None], list[float]]:
    """A report that cancels at its n-th call, and what it heard."""
    heard: list[float] = []

    def report(progress: float) -> None:
        heard.append(progress)
        if len(heard) == calls:
            raise JobCancelled("nobody listens any more")

    return report, heard
