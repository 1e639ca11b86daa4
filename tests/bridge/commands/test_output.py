"""Files that commands write are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.commands._output import check_file, numbered, write_whole
from bridge.errors import StartupError


def test_a_file_is_replaced_in_one_step_and_keeps_its_link(tmp_path: Path) -> None:
    (tmp_path / "real.wav").write_bytes(b"old")
    (tmp_path / "link.wav").symlink_to("real.wav")
    write_whole(tmp_path / "link.wav", b"new")
    assert (tmp_path / "real.wav").read_bytes() == b"new"
    assert (tmp_path / "link.wav").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    (tmp_path / "kick.wav").mkdir()
    (tmp_path / "kick.wav" / "inside").touch()
    with pytest.raises(StartupError, match=r"kick\.wav cannot be written") as caught:
        write_whole(tmp_path / "kick.wav", b"new")
    assert caught.value.code == "output_failed"
    assert [path.name for path in tmp_path.iterdir()] == ["kick.wav"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_devices_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "full.wav").symlink_to("/dev/full")
    with pytest.raises(StartupError, match="is not a file"):
        check_file(tmp_path / "full.wav")


def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # root may write everywhere, so the answer of the system is given by hand
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StartupError) as caught:
        check_file(tmp_path / "kick.wav")
    assert caught.value.code == "folder_not_writable"


def test_the_format_follows_the_name_in_any_letter_case(tmp_path: Path) -> None:
    assert check_file(tmp_path / "KICK.FLAC") == "flac"


def test_variations_are_counted_from_the_second_file_on() -> None:
    assert [str(numbered(Path("out/hit.wav"), number)) for number in range(3)] == [
        "out/hit.wav",
        "out/hit_2.wav",
        "out/hit_3.wav",
    ]


def test_the_name_says_the_format_and_24_wav_is_a_wav_of_its_own(tmp_path: Path) -> None:
    assert [check_file(tmp_path / name) for name in ("a.wav", "a.24.wav", "A.FLAC", "24.wav")] == [
        "wav", "wav24", "flac", "wav",
    ]  # fmt: skip
    assert [numbered(Path(name), 1).name for name in ("a.24.wav", "A.Wav", "a.b.mp3", "bare")] == [
        "a_2.24.wav", "A_2.Wav", "a.b_2.mp3", "bare_2",
    ]  # fmt: skip
