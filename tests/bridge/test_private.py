"""Nobody else on the machine reads what a bridge keeps, whoever made the data folder and whatever the umask."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.client.server_file import announced
from bridge.exchange.uploads import Uploads
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.orders import generate_order
from cache import SampleStore

OTHERS = stat.S_IRWXG | stat.S_IRWXO


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder as an administrator makes it, and a shell whose files everybody can read."""
    before = os.umask(0o022)
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    yield data
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.stat().st_mode & OTHERS and not path.is_symlink()
    )


async def test_every_file_and_folder_in_it_is_the_users_alone(folder: Path) -> None:
    settings = Settings(data_dir=folder, engine="tone", pregenerate=False)
    async with open_service(settings) as service:
        placed = await service.make(generate_order({"prompt": "tone", "kind": "raw", "duration": 0.2})[0])
        await service.library.audio(placed.sample.sample_id, "flac")
        file = io.BytesIO()
        soundfile.write(file, np.sin(np.arange(22050) / 20), 22050, format="WAV")
        uploads = Uploads(settings)
        async with uploads.receive() as receiver:
            await receiver.write(file.getvalue())
            await uploads.keep(receiver)
        with announced(settings, 6401, "key"):
            found = open_to_others(folder)
            assert len(list(folder.rglob("*"))) > 15
    assert "\n".join(found) == ""
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755, "whoever made the folder chose its rights"


def test_what_an_earlier_version_left_open_is_closed_and_what_is_not_ours_is_left(folder: Path) -> None:
    SampleStore.open(folder).close()
    mine = folder / "holiday.txt"
    mine.touch()
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (folder / "elsewhere.json").symlink_to(mine)
    SampleStore.open(folder).close()
    assert [name for name in open_to_others(folder) if "/" not in name] == ["holiday.txt"]
