"""A look at every file of a data folder, while a server runs on it or not. Nothing is changed by looking."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shlex
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bridge.client.server_file import running_server
from bridge.commands._advice import command, give_right, move_away
from bridge.commands._data_files import CATALOGUE, FORMAT, MASTERS, PARTS, Part, is_backup_path, strangers
from bridge.commands._data_odd import named, odd_masters, odd_part
from bridge.commands._data_report import Finding
from bridge.commands._oddities import Odd, all_below, oddity
from bridge.commands._quiet import holder, open_quietly
from bridge.system.ledgers import LOSSES, VERSIONS
from cache import MARK, Listing, aside, catalogue_complaints, complaints, known_format, listing, rebuild_due

LEAST_FREE_MB: Final = 200
_TWO: Final = re.compile(r"[0-9a-f]{2}")
"""A folder of masters."""
_PAUSE: Final = 0.4
"""Seconds until the catalogue is asked again whether it knows a file that a server may just be taking in."""


class Checks:
    """The checks of one data folder. ``on_file``: told of the bytes that were read, and of all that will be."""

    def __init__(self, data: Path, on_file: Callable[[int, int], None] = lambda *_: None) -> None:
        self._data = data
        self._on_file = on_file
        self._holder = holder(data)
        self._serve = command("serve", data=data)
        self._rebuild = command("rebuild", data=data)
        self._restore = command("restore", "BACKUP", "--replace", data=data)
        self.sounds: int | None = None
        self.samples: int | None = None

    @property
    def process(self) -> str | None:
        """The number of the process that has the folder open."""
        return self._holder

    def run(self) -> Iterator[Finding]:
        """Look at everything, part by part."""
        if not os.path.lexists(self._data):
            yield Finding(".", "note", "There is nothing here yet; the first start makes it.", self._serve)
            return
        if not self._data.is_dir():
            yield Finding(
                ".",
                "problem",
                f"{self._data} is not a folder. Choose another one.",
                command("serve", "--data-dir", "DIR"),
            )
            return
        try:
            entries = {entry.name for entry in self._data.iterdir()}
        except OSError as error:
            yield Finding(".", "problem", f"It cannot be read ({error.strerror}).", give_right(self._data))
            return
        yield from self._folder(entries)
        for part in PARTS:
            if part.name in entries:
                yield from self._part(part)
        if not entries & {CATALOGUE, FORMAT} and not self._has_sounds():
            return
        yield from self._missing_parts(entries)
        yield from self._set_aside()
        for name in strangers(self._data):
            moved = "An older data folder that restore moved aside. Delete it if nothing is missing."
            text = moved if name.startswith("before-") else "It is not one of our files; a backup leaves it out."
            yield Finding(name, "note", text)

    # --- the folder itself

    def _folder(self, entries: set[str]) -> Iterator[Finding]:
        found = self._data.stat()
        if not os.access(self._data, os.W_OK | os.X_OK):
            yield Finding(".", "problem", "This user cannot write into it.", give_right(self._data))
        elif stat.S_IMODE(found.st_mode) & 0o077:
            text = "Other users of this machine can look into it, where its files allow that."
            yield Finding(".", "note", text, _line("chmod", "700", self._data))
        free = shutil.disk_usage(self._data).free // 2**20
        if free < LEAST_FREE_MB:
            text = f"Only {free} MiB are free on its disk. Make room: new sounds are refused when it is full."
            yield Finding(".", "problem", text)
        if self._holder:
            url = running_server(self._data)
            yield Finding(".", "ok", f"In use by process {self._holder}" + (f", a server at {url}." if url else "."))
        elif "server.json" in entries and running_server(self._data) is None:
            yield Finding("server.json", "note", "It was left by a server that was killed; the next start replaces it.")

    def _missing_parts(self, entries: set[str]) -> Iterator[Finding]:
        if CATALOGUE not in entries and self._has_sounds():
            text = "It is missing, and with it the names of the sounds. Their audio is there."
            yield Finding(CATALOGUE, "problem", text, self._rebuild)
        if FORMAT not in entries:
            text = "It is missing. The version of the folder is read from the catalogue instead, at the next start."
            yield Finding(FORMAT, "problem", text, self._serve)

    def _has_sounds(self) -> bool:
        return bool(self._master_files()) or any((self._data / "copies").glob("*.sqlite3"))

    def _set_aside(self) -> Iterator[Finding]:
        for file in aside(self._data):
            loss = LOSSES.get(file.name.partition(MARK)[0])
            text = f"It was damaged and set aside. {loss.lost if loss else ''} Delete it when you do not need it."
            text = " ".join(text.split())
            yield Finding(file.name, "problem", text, f"{_line('rm', '-r', file)}*")

    # --- one part

    def _part(self, part: Part) -> Iterator[Finding]:
        path = self._data / part.name
        look = self._looks().get(part.name) or {
            "database": self._database, "json": self._json, "lines": self._lines, "tree": self._tree,
            "other": self._other,
        }[part.kind]  # fmt: skip
        found = list(odd_part(part, self._data, self._rebuild))
        if not found:
            try:
                found = list(look(part, path))
            except PermissionError as error:
                where = Path(error.filename or path)
                text = f"{where} cannot be read: this user does not have the right to."
                found = [Finding(part.name, "problem", text, give_right(where))]
            except OSError as error:
                found = [self._failing(part, path, error)]
        if part.backed_up and not any(each.level == "problem" for each in found) and not os.access(path, os.W_OK):
            step = give_right(path, below=part.folder)
            found.append(Finding(part.name, "problem", "This user does not have the right to write it.", step))
        yield from found or [Finding(part.name, "ok", f"{part.what[0].upper()}{part.what[1:]}: whole.")]

    def _failing(self, part: Part, path: Path, error: OSError) -> Finding:
        why = f"It cannot be read ({error.strerror or error}). Check the disk"
        if part.name in (CATALOGUE, MASTERS):
            return Finding(part.name, "problem", f"{why}; a backup brings it back.", self._restore)
        text = f"{why}, then move it away; the next start makes a new one."
        return Finding(part.name, "problem", text, move_away(path, self._data))

    def _looks(self) -> dict[str, Callable[[Part, Path], Iterator[Finding]]]:
        return {
            FORMAT: self._format,
            CATALOGUE: self._catalogue,
            MASTERS: self._masters_alone,
            "deliveries": self._deliveries,
            "copies": self._copies,
            "trash": self._trash,
            "incoming": self._incoming,
        }

    def _format(self, part: Part, path: Path) -> Iterator[Finding]:
        try:
            version = json.loads(path.read_bytes())["version"]
        except (ValueError, KeyError, TypeError, RecursionError):
            version = None
        if type(version) is not int or version < 1:
            text = "It is damaged. The version of the folder is read from the catalogue instead, at the next start."
            yield Finding(part.name, "problem", text, self._serve)
        elif version > known_format():
            text = (
                f"The folder has version {version}, and this program knows versions up to {known_format()}. Update it."
            )
            yield Finding(part.name, "problem", text, "pip install --upgrade sample-bridge")

    def _catalogue(self, part: Part, path: Path) -> Iterator[Finding]:
        files = self._master_files()
        wrong, listed, due = self._read_catalogue(path)
        if wrong or listed is None:
            text = f"It is damaged ({wrong}). Copies of it, and the audio itself, bring the names back."
            yield Finding(part.name, "problem", text, self._rebuild)
            return
        if due:
            yield Finding(part.name, "problem", f"Sounds may be missing in it. {due}", self._rebuild)
        self.sounds, self.samples = listed.sounds, len(listed.samples)
        sounds = f"{listed.sounds} {'sound' if listed.sounds == 1 else 'sounds'}"
        yield Finding(part.name, "ok", f"{sounds}, {len(listed.samples)} samples.")
        if oddity(self._data / MASTERS, "folder") is None:  # else that is told first
            yield from self._compared(listed, files)

    def _read_catalogue(self, path: Path) -> tuple[str, Listing | None, str | None]:
        for _ in range(2):
            before = holder(self._data)
            try:
                with open_quietly(path) as con:
                    found = catalogue_complaints(con)
                    if not found:
                        return "", listing(con), rebuild_due(con)
                    wrong = found[0]
            except sqlite3.Error as error:
                wrong = str(error)
            if holder(self._data) == before:
                break
        return wrong, None, None

    def _master_files(self) -> dict[str, Path]:
        found = {}
        for file in (self._data / MASTERS).glob("*/*"):
            if is_backup_path(file.relative_to(self._data).as_posix()) and os.path.isfile(file):  # noqa: PTH113  never raises
                found[file.stem] = file
        return found

    def _compared(self, listed: Listing, files: dict[str, Path]) -> Iterator[Finding]:
        """Every master against the catalogue."""
        unlike: dict[str, list[str]] = {"missing": [], "cut or of another size": [], "changed": []}
        odd: dict[str, Odd] = {}
        all_, done = sum(size for size, _ in listed.samples.values()), 0
        for sample_id, (size, digest) in listed.samples.items():
            how = _compare(self._data / MASTERS / sample_id[:2] / f"{sample_id}.wav", size, digest)
            if how and self._still(sample_id, size, digest):
                if isinstance(how, Odd):
                    odd[sample_id] = how
                else:
                    unlike[how].append(sample_id)
            done += size
            self._on_file(done, all_)
        yield from self._strange({*files, *listed.samples})  # what is in the way first
        yield from odd_masters(odd, listed, self._data)
        trashed = {file.name.partition(".")[0] for file in (self._data / "trash").glob("*/*.wav")}
        for how, sample_ids in unlike.items():
            back = trashed.intersection(sample_ids)
            for ids, text, step in (
                (sorted(back), "It lies in the trash.", self._rebuild),
                (
                    [each for each in sample_ids if each not in back],
                    "It is made again when it is asked for.",
                    self._restore,
                ),
            ):
                if ids:
                    yield Finding(MASTERS, "problem", f"The audio of {named(ids, listed)} is {how}. {text}", step)
        unknown = self._unknown(files, listed)
        if unknown:
            count = f"{len(unknown)} sound {'file is' if len(unknown) == 1 else 'files are'}"
            text = f"{count} not in the catalogue. They can be brought back under the names that they carry."
            yield Finding(MASTERS, "problem", text, self._rebuild)
        if not any(unlike.values()) and not unknown and not odd:
            yield Finding(
                MASTERS, "ok", f"{len(listed.samples)} sound files, {all_ / 1e6:.1f} MB, each as it was made."
            )

    def _strange(self, known: set[str]) -> Iterator[Finding]:
        strange = [file for file in all_below(self._data / MASTERS) if file.stem not in known]
        for file in strange[:1]:
            name = file.relative_to(self._data).as_posix()
            if file.parent.name == MASTERS and _TWO.fullmatch(file.name):
                text = f"{name} is not a folder, so no sound can be kept in it. Move it away."
                yield Finding(MASTERS, "problem", text, move_away(file, self._data))
            else:
                yield Finding(MASTERS, "note", f"{name} is not a sound file of ours.")

    def _still(self, sample_id: str, size: int, digest: str) -> bool:
        """Does the catalogue still say that? A server changes and removes masters, too."""
        if self._holder is None:
            return True
        time.sleep(_PAUSE)
        _, fresh, _ = self._read_catalogue(self._data / CATALOGUE)
        return fresh is None or fresh.samples.get(sample_id) == (size, digest)

    def _unknown(self, files: dict[str, Path], listed: Listing) -> set[str]:
        unknown = set(files) - set(listed.samples)
        if unknown and self._holder:
            time.sleep(_PAUSE)
            _, fresh, _ = self._read_catalogue(self._data / CATALOGUE)
            unknown = {each for each in unknown - set(fresh.samples if fresh else ()) if files[each].exists()}
        return unknown

    def _masters_alone(self, part: Part, path: Path) -> Iterator[Finding]:  # noqa: ARG002  see _looks
        """What the catalogue has to say of them was said with it."""
        if not (self._data / CATALOGUE).is_file():
            yield Finding(part.name, "note", f"{len(self._master_files())} sound files, which no catalogue names.")
        else:
            yield Finding(part.name, "ok", "Compared with the catalogue.")

    def _database(self, part: Part, path: Path) -> Iterator[Finding]:
        newest = VERSIONS.get(part.name)
        try:
            with open_quietly(path) as con:
                version = con.execute("PRAGMA user_version").fetchone()[0]
                found = complaints(con)
                if not found and not con.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                    found = ["it is empty"]
        except sqlite3.Error as error:
            found, version = [str(error)], 0
        if found:
            loss = LOSSES[part.name].lost if part.name in LOSSES else ""
            text = f"It is damaged ({found[0]}). The next start sets it aside and starts a new one. {loss}"
            yield Finding(part.name, "problem", text.strip(), self._serve)
        elif newest is not None and version > newest:
            text = f"It has version {version}, and this program knows versions up to {newest}. Update the program."
            yield Finding(part.name, "problem", text, "pip install --upgrade sample-bridge")

    def _deliveries(self, part: Part, path: Path) -> Iterator[Finding]:
        index = path / "cache.db"
        found = []
        if odd := oddity(index, "file"):
            text = f"Their index {odd.text}. Move them away: they are made again from the masters."
            step = give_right(index) if odd.right else move_away(path, self._data)
            yield Finding(part.name, "problem", text, step)
            return
        if index.exists():
            try:
                with open_quietly(index, self._data) as con:
                    found = complaints(con)
            except sqlite3.Error as error:
                found = [str(error)]
        if found:
            text = f"Their index is damaged ({found[0]}). They are made again from the masters."
            yield Finding(part.name, "problem", text, self._serve)

    def _copies(self, part: Part, path: Path) -> Iterator[Finding]:
        whole = 0
        for file in sorted(path.glob("*.sqlite3")):
            if odd := oddity(file, "file"):
                step = give_right(file) if odd.right else move_away(file, self._data)
                yield Finding(part.name, "problem", f"The copy {file.name} {odd.text}.", step)
                continue
            try:
                with open_quietly(file, path) as con:
                    found = catalogue_complaints(con)
                    listing(con)
            except sqlite3.Error as error:
                found = [str(error)]
            if found:
                text = f"The copy {file.name} is damaged ({found[0]}). Others are used instead of it."
                yield Finding(part.name, "problem", text, _line("rm", file))
            whole += not found
        if whole:
            yield Finding(part.name, "ok", f"{whole} whole {'copy' if whole == 1 else 'copies'} of the catalogue.")

    def _trash(self, part: Part, path: Path) -> Iterator[Finding]:
        files = [file for file in path.glob("*/*") if file.is_file()]
        if files:
            size = sum(file.stat().st_size for file in files) / 1e6
            text = f"{len(files)} files that no sound has any more, {size:.1f} MB; old ones are removed automatically."
            yield Finding(part.name, "note", text)

    def _incoming(self, part: Part, path: Path) -> Iterator[Finding]:
        if self._holder is None and path.is_dir() and any(path.iterdir()):
            yield Finding(part.name, "note", "Files that were not finished; the next start removes them.")

    def _json(self, part: Part, path: Path) -> Iterator[Finding]:
        try:
            found: Any = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            yield Finding(
                part.name, "problem", "It is damaged. It is written again when it is missing.", _line("rm", path)
            )

    def _lines(self, part: Part, path: Path) -> Iterator[Finding]:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    good = isinstance(json.loads(line), dict)
                except (ValueError, RecursionError):
                    # The last line may be half written at this moment.
                    good = not line.endswith(b"\n") and self._holder is not None
                if not good:
                    text = f"Line {number} cannot be read. The lines before and after it, and all sounds, stay."
                    yield Finding(part.name, "problem", text, _line("sed", "-i", f"{number}d", path))
                    return

    def _tree(self, part: Part, path: Path) -> Iterator[Finding]:
        for file in all_below(path):
            if odd := oddity(file, "file"):
                step = give_right(path, below=True) if odd.right else move_away(file, self._data)
                yield Finding(part.name, "problem", f"{file.relative_to(self._data)} {odd.text}.", step)
                return

    def _other(self, part: Part, path: Path) -> Iterator[Finding]:  # noqa: ARG002  see _looks
        """Whether it is a file or a folder is all that can be said of it."""
        yield from ()


def _line(*words: str | Path) -> str:
    return shlex.join(map(str, words))


def _compare(file: Path, size: int, digest: str) -> str | Odd | None:
    """What is wrong with a master, None when nothing is."""
    if odd := oddity(file, "file"):
        return odd
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        gone = error.errno in (errno.ENOENT, errno.ENOTDIR)
        return "missing" if gone else Odd(f"cannot be read ({error.strerror or error})")
    with os.fdopen(handle, "rb") as content:
        if os.fstat(handle).st_size != size:
            return "cut or of another size"
        try:
            return None if hashlib.file_digest(content, "sha256").hexdigest() == digest else "changed"
        except OSError as error:
            return Odd(f"cannot be read ({error.strerror or error})")
