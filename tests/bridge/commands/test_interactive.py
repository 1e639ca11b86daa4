"""``sample-bridge interactive`` and the names of contract B's command line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import soundfile

from bridge import cli
from tests.bridge.commands.conftest import Command


def test_line_after_line_becomes_a_sound_and_the_code_that_plays_it(command: Command, tmp_path: Path) -> None:
    typed = "tone 300 hz\nagain\n\nsave hit.wav\nsave hit.xyz\ntone fail\ntone 400 hz\nquit\ntone 500 hz\n"
    ended = command("interactive", "--engine", "tone", "--duration", "0.2", stdin=typed)
    assert ended.code == 0
    pasted = [line[6:].strip() for line in ended.out.splitlines() if line.startswith("paste")]
    assert [code[code.index("s(") :] for code in pasted] == [
        's("gen_tone_300_hz")',
        's("gen_tone_300_hz:1")',
        's("gen_tone_400_hz")',
    ]
    assert soundfile.info(tmp_path / "hit.wav").duration > 0.1
    assert "[unknown_format]" in ended.err
    assert "[engine_failed]" in ended.err


def test_the_end_of_the_input_ends_it(command: Command) -> None:
    ended = command("interactive", "--engine", "tone", stdin="again\nsave x.wav\nhelp")
    assert ended.code == 0
    assert "again " in ended.out
    assert ended.err.count("Nothing was made yet") == 2


def test_generate_batch_makes_its_folder_and_goes_on_where_it_was(command: Command, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("tone 300 hz\ntone 400 hz\n")
    words = ("generate-batch", "--prompts", "prompts.txt", "--output_dir", "out/deep", "--engine", "tone",
             "--batch_size", "2", "--compile", "--json")  # fmt: skip
    first, second = command(*words).json(), command(*words).json()
    assert [sound["cached"] for sound in first["sounds"]] == [False, False]
    assert [sound["cached"] for sound in second["sounds"]] == [True, True]
    assert sorted(path.name for path in (tmp_path / "out/deep").iterdir()) == [
        "gen_tone_300_hz_0.wav",
        "gen_tone_400_hz_0.wav",
    ]
    assert command("generate-batch", "--json").error()["code"] == "usage"
    assert command(*words, "--batch_size", "0").error()["code"] == "invalid_request"


def test_the_wheel_installs_the_other_names() -> None:
    scripts = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["music-gen"] == scripts["sample-bridge"]
    assert scripts["music-gen-api"] == "bridge.cli:serve"
    assert cli.serve(["--no-such-option"]) == 2
