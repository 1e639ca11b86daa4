"""What the MusicGen benchmark works out from what it measured."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks import musicgen
from tests.benchmarks._musicgen_model import SIZES, RandomWeights
from tests.benchmarks._musicgen_steps import distance
from tests.benchmarks._quiet import Block, Blocks, measured, ratio


def test_blocks_that_others_disturbed_do_not_count():
    blocks = Blocks([Block(1.0, 0.0), Block(3.0, 0.05), Block(9.0, 0.5)])
    assert blocks.value == 2.0
    assert "2 quiet blocks" in blocks.note


def test_a_machine_that_is_never_quiet_is_said_to_be_noisy():
    blocks = Blocks([Block(1.0, 0.2), Block(2.0, 0.3), Block(3.0, 0.4), Block(9.0, 0.9)])
    assert blocks.value == 2.0
    assert blocks.note == "NOISY: others took up to 40% of the processor"
    assert musicgen._noisy(blocks.as_dict())


def test_ratios_are_taken_within_a_round():
    slow_then_quick = [2.0, 2.0, 1.0, 1.0]
    ours = Blocks([Block(each, 0.0) for each in slow_then_quick])
    theirs = Blocks([Block(3.0 * each, 0.0) for each in slow_then_quick])
    theirs.all[0] = Block(99.0, 0.5)
    assert ratio(theirs, ours) == 3.0


def test_works_are_done_in_turn_and_the_probe_is_asked_around_each(monkeypatch):
    monkeypatch.setattr("tests.benchmarks._quiet.wait_for_quiet", lambda **_: None)
    monkeypatch.setattr("tests.benchmarks._quiet.OTHERS", 100.0)
    order, answers = [], iter(range(100))
    works = {name: lambda name=name: order.append(name) or 1.0 for name in ("one", "two")}
    done = measured(works, blocks=2, probe=lambda: float(next(answers)))
    assert order == ["one", "two", "one", "two"]
    assert [block.probe for block in done["two"].all] == [2.5, 6.5]


class Repeating:
    """Gives scores that were prepared."""

    def __init__(self, scores):
        self._scores = scores
        self._left = iter(())

    def begin(self, _):
        self._left = iter(self._scores)

    def step(self, _):
        return next(self._left)


def test_equal_scores_are_at_no_distance_and_others_are():
    random = np.random.default_rng(0)
    scores = random.standard_normal((5, 2, 4, 64), np.float32)
    codes = np.zeros((5, 4), np.int32)
    same = distance(codes, scores, Repeating(scores))
    assert same["cosine"] == pytest.approx(1.0)
    assert same["kl"] == pytest.approx(0.0, abs=1e-9)
    off = distance(codes, scores, Repeating(scores + 0.2 * random.standard_normal(scores.shape, np.float32)))
    assert off["cosine"] < 0.995
    assert off["kl"] > 1e-3


def test_a_step_reads_every_weight_once_but_those_that_the_prompt_is_multiplied_with():
    weights = RandomWeights(SIZES["small"])
    names = ("qkv", "self_out", "fc1", "fc2")
    count = SIZES["small"].layers * sum(weights.read(f"0.{name}").size for name in names) + weights.read("heads").size
    past = 2 * 24 * 2 * 125 * 1024 * 2
    keys, values = 24 * 1024 * 16 * 16, 24 * 1024 * 16 * 12  # of 11 tokens, up to whole registers and fours
    assert musicgen.step_bytes() == count + past + keys + values


def test_what_is_not_installed_says_how_to_install_it():
    figures = musicgen._steps({"ours": {"value": 0.01, "probe": 36.0, "note": ""}}, {})
    assert figures["a step, OpenVINO int8"].value is None
    assert "pip install" in figures["a step, OpenVINO int8"].note


def test_the_bar_follows_the_memory_bandwidth_of_the_run():
    slow, fast = (
        musicgen._steps({"ours": {"value": 0.01, "probe": probe}, "onnxruntime": {"value": 0.014, "ratio": 1.4}}, {})
        for probe in (36.0, 60.0)
    )
    name = "a step, ours against onnxruntime 8 bit"
    assert (slow[name].ok, fast[name].ok) == (True, False)


def test_figures_of_a_noisy_run_hold_no_bar():
    figures = musicgen._whole({"1": {"value": 9.0, "note": "NOISY: others"}}, {"float32": {}, "bfloat16": {}})
    assert figures["audio a second, 1 together"].ok is None
