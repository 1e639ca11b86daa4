"""One tiny MusicGen for all tests of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.engines.musicgen import MusicGenEngine
from tests.tiny_musicgen import build_tiny_musicgen


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """A model this small is quicker on one thread, and much quicker when the cores are busy."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny MusicGen. Not to be changed: copy it."""
    return build_tiny_musicgen(tmp_path_factory.mktemp("tiny") / "musicgen")


@pytest.fixture(scope="session")
def engine(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> MusicGenEngine:
    return MusicGenEngine(model=str(tiny), device="cpu", data_dir=tmp_path_factory.mktemp("data"))
