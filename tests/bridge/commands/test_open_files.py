"""A server has room for its pages, however few files the shell allows."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from bridge.commands.serve import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
allow_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard", "after"), [(128, 512, 512), (512, 512, 512)])
def test_the_limit_of_open_files_is_raised_to_what_the_system_allows(soft: int, hard: int, after: int) -> None:
    program = PROGRAM.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(after), str(hard)]


def test_a_limit_that_is_high_enough_is_not_lowered() -> None:
    lower = "import bridge.commands.serve as serve\nserve._OPEN_FILES = 100\n"
    program = lower + PROGRAM.format(soft=512, hard=512)
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["512", "512"]
