"""What the doctor says of engines that ask elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.commands.doctor import _engines
from bridge.engines.cloud.keys import VARIABLE
from bridge.settings import Settings


@pytest.mark.parametrize(
    ("name", "fields", "setting"),
    [
        ("endpoint", {"endpoint_url": "https://studio.example.org"}, "BRIDGE_ENDPOINT_URL"),
        ("replicate", {"replicate_token": "r8", "replicate_model": "a/b"}, "BRIDGE_REPLICATE_TOKEN"),
        ("ensemble", {"ensemble": ("tone",)}, "BRIDGE_ENSEMBLE"),
    ],
)
def test_it_names_what_is_to_be_set_until_it_is(
    tmp_path: Path, name: str, fields: dict[str, object], setting: str
) -> None:
    def lacks(settings: Settings) -> str | None:
        return next(each["lacks"] for each in _engines([], settings) if each["name"] == name)

    assert setting in str(lacks(Settings(data_dir=tmp_path)))
    assert lacks(Settings(data_dir=tmp_path, **fields)) is None
    assert VARIABLE not in os.environ
