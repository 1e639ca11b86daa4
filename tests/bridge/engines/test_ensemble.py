"""Several engines are asked, the best sound is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.engines.ensemble import EnsembleEngine
from bridge.engines.tone import ToneEngine
from bridge.errors import EngineError, EngineUnavailable, JobCancelled
from bridge.plugins.clip import Clip
from bridge.plugins.engine import EngineInfo, Report, heeding
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.orders import generate_order
from prompts import SampleSpec

INFO = ToneEngine().info


class Player:
    """Plays one wave, whatever is asked."""

    def __init__(self, name: str, wave: Any, **info: Any) -> None:
        self.info: EngineInfo = replace(INFO, name=name, streams=False, **info)
        self._wave = wave

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        del spec, seconds
        report(0.5)
        if isinstance(self._wave, Exception):
            raise self._wave
        yield Clip.of(self._wave, self.info.rate)


TIME = np.arange(44100) / 44100
CLEAN = 0.5 * np.sin(2 * np.pi * 220 * TIME)
CLIPPED = np.clip(9 * CLEAN, -1, 1)


def spec(**fields: Any) -> SampleSpec:
    return SampleSpec.model_validate({"prompt": "pad", "kind": "raw", "duration": 1, "seed": 3, **fields}).resolved(
        "ensemble", None
    )


def ensemble(*players: Player) -> EnsembleEngine:
    by_name = {player.info.name: player for player in players}
    return EnsembleEngine(",".join(by_name), build=lambda name, **_: by_name[name])


def nothing(_: float) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("best_first", [True, False])
def test_the_better_sound_is_kept_whoever_was_asked_first(best_first: bool) -> None:
    players = [Player("clean", CLEAN), Player("clipped", CLIPPED)]
    (clip,) = ensemble(*(players if best_first else players[::-1])).stream(spec(), 1.0, nothing)
    spectrum = np.abs(np.fft.rfft(clip.samples[0]))
    assert spectrum[660] < 0.01 * spectrum[220], "the third harmonic of a clipped wave"


def test_of_equals_the_first_wins() -> None:
    one, other = Player("one", CLEAN), Player("other", -CLEAN)
    (clip,) = ensemble(one, other).stream(spec(), 1.0, nothing)
    (again,) = ensemble(other, one).stream(spec(), 1.0, nothing)
    assert np.allclose(clip.samples, -again.samples, atol=1e-4)


def test_one_that_fails_is_passed_over_and_all_that_fail_are_told() -> None:
    broken = Player("broken", EngineError("It has a flat tyre."))
    silent = Player("silent", 0 * CLEAN)
    (clip,) = ensemble(broken, silent, Player("clean", CLEAN)).stream(spec(), 1.0, nothing)
    assert np.abs(clip.samples).max() > 0.1
    with pytest.raises(EngineError, match=r"broken: It has a flat tyre.*silent: "):
        list(ensemble(broken, silent).stream(spec(), 1.0, nothing))


def test_it_says_who_was_kept_what_each_scored_and_who_gave_nothing() -> None:
    players = [Player("clipped", CLIPPED), Player("broken", EngineError("It has a flat tyre.")), Player("clean", CLEAN)]
    with heeding() as remarks:
        list(ensemble(*players).stream(spec(), 1.0, nothing))
    said = remarks.facts["ensemble"]
    assert said["engine"] == "clean"
    assert said["scores"]["clean"] > said["scores"]["clipped"]
    assert said["failed"] == {"broken": "It has a flat tyre."}
    assert said["flags"]["clean"] == []
    assert remarks.decisions[0].startswith("kept what clean made, of clipped 0.")
    assert remarks.decisions[1] == "got nothing from broken: It has a flat tyre."


def test_it_is_as_careful_as_its_most_careful_member() -> None:
    made = ensemble(
        Player("free", CLEAN, max_seconds=60.0),
        Player("bound", CLEAN, licence="CC-BY-NC-4.0", commercial=False, generative_model=True, max_seconds=30.0),
    ).info
    assert (made.commercial, made.generative_model, made.max_seconds) == (False, True, 30.0)
    assert made.licence == "CC0-1.0 or CC-BY-NC-4.0"
    assert made.revision != ensemble(Player("free", CLEAN)).info.revision
    alone = ensemble(Player("model", CLEAN, conditions=("melody",), takes=True, precision="int8", qualities=("draft",)))
    assert (alone.info.conditions, alone.info.takes, alone.info.precision) == ((), False, None)
    assert alone.info.qualities == ("draft",)


def test_progress_never_goes_back_and_a_cancel_ends_it() -> None:
    told: list[float] = []
    players = [Player("one", CLEAN), Player("other", CLEAN)]
    list(ensemble(*players).stream(spec(), 1.0, told.append))
    assert told == sorted(told)
    assert told[-1] == 1.0

    def stop(fraction: float) -> None:
        if fraction >= 0.5:
            raise JobCancelled("nobody wants it")

    with pytest.raises(JobCancelled):
        list(ensemble(*players).stream(spec(), 1.0, stop))


@pytest.mark.parametrize("names", [None, "", " , "])
def test_without_members_it_says_what_to_set(names: str | None) -> None:
    with pytest.raises(EngineUnavailable, match="BRIDGE_ENSEMBLE"):
        EnsembleEngine(names)


def test_it_never_asks_itself() -> None:
    with pytest.raises(EngineUnavailable, match="itself"):
        EnsembleEngine("tone,ensemble")


def test_a_member_that_cannot_start_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert EnsembleEngine("tone,theremin").info.model == "tone"
    assert "theremin" in caplog.text
    with pytest.raises(EngineUnavailable, match="theremin"):
        EnsembleEngine("theremin")


async def test_it_makes_a_loop_behind_the_service(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine="ensemble", ensemble=("procedural", "tone"), pregenerate=False)
    async with open_service(settings) as service:
        placed = await service.make(generate_order({"prompt": "house drums", "bars": 1, "bpm": 120})[0])
        assert placed.sample.frames == 2 * 44100
        facts = placed.sample.facts
        assert facts["model"] == "procedural+tone"
        said = facts["ensemble"]
        assert list(said["scores"]) == ["procedural", "tone"]
        assert said["engine"] == max(said["scores"], key=said["scores"].__getitem__)
        assert facts["decisions"][0].startswith(f"kept what {said['engine']} made, of procedural ")
