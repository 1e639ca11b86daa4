"""Prompts that are refused: a list, or anybody's callable."""

from __future__ import annotations

import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import InvalidRequest, StartupError
from bridge.settings import Settings
from bridge.sounds import prompt_filter
from bridge.sounds.opening import open_service
from bridge.sounds.orders import generate_order
from bridge.sounds.prompt_filter import Prompts, list_filter

LIST = "# ours\nvuvuzela\nair horn   # tired of it\nkazoo*\nC++ .*\n"


@pytest.mark.parametrize(
    "prompt",
    ["a vuvuzela", "VUVUZELA!", "vüvüzéla solo", "air  horn", "air-horn", "Air_Horn", "ｖｕｖｕｚｅｌａ",
     "vuvu\u200bzela", "kazoos", "vuvuzela, soft"],
)  # fmt: skip
def test_words_of_the_list_are_found_however_they_are_written(prompt: str) -> None:
    assert list_filter(LIST)(prompt)


@pytest.mark.parametrize("prompt", ["warm pad", "vuvuzelas", "fair horn", "airhorn", "ours", "c minor .", ""])
def test_nothing_else_is(prompt: str) -> None:
    assert not list_filter(LIST)(prompt)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a remark"])
def test_an_empty_list_refuses_nothing(text: str) -> None:
    assert not list_filter(text)("vuvuzela")


async def test_without_a_filter_everything_passes() -> None:
    await Prompts().check("vuvuzela")


def installed(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _: value)
    entry = EntryPoint("club", "somewhere:refuse", prompt_filter.GROUP)
    monkeypatch.setattr(prompt_filter, "entry_points", lambda group: [entry] if group == prompt_filter.GROUP else [])


@pytest.mark.parametrize(("verdict", "sentence"), [(True, "does not make"), ("No horns here.", "No horns here.")])
async def test_a_callable_says_no_with_its_own_sentence(
    monkeypatch: pytest.MonkeyPatch, verdict: Any, sentence: str
) -> None:
    installed(monkeypatch, lambda prompt: verdict if "horn" in prompt else None)
    prompts = Prompts("club")
    await prompts.check("warm pad")
    with pytest.raises(InvalidRequest, match=sentence) as caught:
        await prompts.check("a horn")
    assert (caught.value.code, caught.value.details) == ("prompt_refused", {"field": "prompt"})


def _raises(_: str) -> None:
    raise OSError("the word service is down")


@pytest.mark.parametrize("broken", [_raises, lambda _: time.sleep(0.2)])
async def test_one_that_fails_or_hangs_refuses(monkeypatch: pytest.MonkeyPatch, broken: Any) -> None:
    monkeypatch.setattr(prompt_filter, "_SECONDS", 0.02)
    installed(monkeypatch, broken)
    with pytest.raises(InvalidRequest, match="could not be checked") as caught:
        await Prompts("club").check("warm pad")
    assert caught.value.code == "prompt_refused"


def test_one_that_is_not_there_or_no_filter_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for named in ("nowhere.txt", str(tmp_path)):
        with pytest.raises(StartupError, match="BRIDGE_PROMPT_FILTER"):
            Prompts(named)
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(StartupError, match="BRIDGE_PROMPT_FILTER"):
        Prompts(str(tmp_path / "list.txt"))
    installed(monkeypatch, "no callable")
    with pytest.raises(StartupError, match="called"):
        Prompts("club")


async def test_the_service_refuses_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(LIST)
    settings = Settings(
        data_dir=tmp_path / "data", engine="tone", prompt_filter=str(tmp_path / "list.txt"), pregenerate=False
    )
    async with open_service(settings) as service:
        with pytest.raises(InvalidRequest):
            await service.ask(generate_order({"prompt": "dub with an air horn"})[0])
        with pytest.raises(InvalidRequest):
            await service.ask(generate_order({"prompt": "dub", "instruments": ["vuvuzela"]})[0])
        assert not service.engines.pools
        assert await service.make(generate_order({"prompt": "dub", "duration": 0.2})[0])
