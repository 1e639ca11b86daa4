"""How the library comes to be, and what is said when it does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bridge.engines.musicgen.kernel import build, cores, kernel_library
from bridge.engines.musicgen.kernel import library as loaded


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The package has no library, and its folder cannot be written: a file stands in its place."""
    place = tmp_path / "package" / "_built"
    place.parent.mkdir()
    place.write_text("")
    monkeypatch.setattr(build, "BUILT", place)
    return place


def compiler(folder: Path, script: str) -> Path:
    path = folder / "c++"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_without_a_compiler_it_says_what_to_install(nothing_built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = kernel_library(nothing_built.parent)
    assert isinstance(found, str)
    assert "apt install g++" in found


def test_what_the_compiler_complains_of_is_told(
    nothing_built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = compiler(tmp_path, "echo 'step.cpp:1: error: unknown option -std=c++17' >&2; exit 1")
    monkeypatch.setenv("CXX", str(path))
    found = kernel_library(tmp_path / "data")
    assert isinstance(found, str)
    assert "unknown option" in found
    assert list((tmp_path / "data").iterdir()) == []


def test_it_is_built_into_the_data_folder_when_the_package_cannot_be_written(
    nothing_built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # writes an empty file where the compiler's output belongs: what is compiled is not looked at here
    path = compiler(tmp_path, 'while [ "$1" != -o ]; do shift; done; : > "$2"')
    monkeypatch.setenv("CXX", str(path))
    old = tmp_path / "data" / "step-linux-x86_64-0123.so"
    old.parent.mkdir()
    old.write_text("of older sources")
    found = kernel_library(tmp_path / "data")
    assert found == tmp_path / "data" / build.library_name()
    assert list((tmp_path / "data").iterdir()) == [found]
    monkeypatch.setenv("CXX", "/nowhere/c++")
    assert kernel_library(tmp_path / "data") == found


def test_other_sources_have_another_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = build.library_name()
    copy = tmp_path / "source"
    shutil.copytree(build.SOURCES, copy)
    monkeypatch.setattr(build, "SOURCES", copy)
    assert build.library_name() == before
    (copy / "maths.h").write_text((copy / "maths.h").read_text() + "\n")
    assert build.library_name() != before


def test_python_and_c_agree_on_the_order_of_tensors_and_precisions() -> None:
    header = (build.SOURCES / "packing.h").read_text()
    listed = header.split("enum Tensor : int32_t {")[1].split("kTensors")[0]
    names = [name.strip().removeprefix("k") for name in listed.split(",") if name.strip()]
    spoken = ["".join(part.capitalize() for part in name.replace(".", "_").split("_")) for name in loaded.TENSORS]
    assert names == spoken
    assert len(loaded.PRECISIONS) == 4
    assert loaded.ROW.itemsize == 32


@pytest.mark.parametrize(("processors", "expected"), [(1, 1), (2, 2), (4, 3), (64, 16)])
def test_a_core_is_left_to_the_player_when_there_are_more_than_two(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, processors: int, expected: int
) -> None:
    monkeypatch.setattr(cores, "_allowed", lambda: set(range(processors)))
    monkeypatch.setattr(cores, "_TOPOLOGY", tmp_path)
    assert cores.default_threads() == expected


def test_two_processors_of_one_core_count_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for processor in range(8):
        folder = tmp_path / f"cpu{processor}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{processor % 4},{processor % 4 + 4}\n")
    monkeypatch.setattr(cores, "_allowed", lambda: set(range(8)))
    monkeypatch.setattr(cores, "_TOPOLOGY", tmp_path)
    assert cores.default_threads() == 3
