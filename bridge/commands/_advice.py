"""Commands in sentences, as they can be typed: paths are quoted, and the data folder is named where it has to be."""

from __future__ import annotations

import getpass
import os
import shlex
from pathlib import Path

from bridge.settings import Settings


def command(name: str, *words: str | Path, data: Path | None = None) -> str:
    """Write a command of ours down, such as ``sample-bridge serve --data-dir '/music/my sounds'``.

    ``data``: the data folder that it is about; it is left out where the program takes that one by itself.
    """
    line = ["sample-bridge", name, *map(str, words)]
    if data is not None and data.absolute() != _usual():
        line += ["--data-dir", str(data.absolute())]
    return shlex.join(line)


def move_away(path: Path, data: Path) -> str:
    """Write down how a thing is moved out of the place of one of our files; it goes to the top of the data folder."""
    place, count = data / f"{path.name}.moved", 1
    while os.path.lexists(place):
        count += 1
        place = data / f"{path.name}.moved-{count}"
    return shlex.join(["mv", "-T", str(path.absolute()), str(place.absolute())])


def give_right(path: Path, *, below: bool = False) -> str:
    """Write down how this user gets the right to read and write a path. ``below``: and everything below it."""
    path = path.absolute()
    for folder in reversed(path.parents):
        if folder.is_dir() and not os.access(folder, os.X_OK):  # the way to it is barred
            path, below = folder, False
            break
    try:
        ours = path.lstat().st_uid == os.geteuid()
    except OSError:
        ours = True
    flags = ["-R"] if below else []
    if ours:
        return shlex.join(["chmod", *flags, "u+rwX", str(path)])
    return shlex.join(["sudo", "chown", *flags, _user(), str(path)])


def _usual() -> Path:
    field = Settings.model_fields["data_dir"]
    return Path(field.get_default(call_default_factory=True, validated_data={})).absolute()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return str(os.geteuid())
