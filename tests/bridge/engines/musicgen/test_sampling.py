"""Codes are drawn as the reference draws them, and a seed draws the same ones again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("torch")

from bridge.engines.musicgen.decoder import Floats
from bridge.engines.musicgen.sampling import Sampling, draws, guided, note, pick

pytestmark = pytest.mark.torch

VOCABULARY = 256
MANY = 20_000


def _scores(seed: int = 0, codebooks: int = 1) -> Floats:
    return 3.0 * np.random.default_rng(seed).standard_normal((codebooks, VOCABULARY), dtype=np.float32)


def _reference_probabilities(scores: Floats, sampling: Sampling) -> np.ndarray[Any, Any]:
    """What transformers' own processors, in ``generate()``'s order, leave of the scores (1, V) -> (V,)."""
    import torch
    from transformers.generation import logits_process

    processors = [logits_process.TemperatureLogitsWarper(sampling.temperature)]
    if sampling.top_k:
        processors.append(logits_process.TopKLogitsWarper(sampling.top_k))
    if 0 < sampling.top_p < 1:
        processors.append(logits_process.TopPLogitsWarper(sampling.top_p))
    left = torch.from_numpy(scores.copy()).double()
    for processor in processors:
        left = processor(torch.zeros(1, 1, dtype=torch.long), left)
    return left.softmax(-1)[0].numpy()


def _counts(scores: Floats, sampling: Sampling) -> np.ndarray[Any, Any]:
    codes = pick(np.repeat(scores, MANY, axis=0), sampling, draws(7, MANY, 1)[:, 0])
    return np.bincount(codes, minlength=VOCABULARY)


def _fit(counts: np.ndarray[Any, Any], probabilities: np.ndarray[Any, Any]) -> float:
    """Return the p value of a chi-squared test; codes expected less than eight times are one bin."""
    expected = probabilities * counts.sum()
    often = expected >= 8
    observed = [*counts[often], counts[~often].sum()]
    wanted = [*expected[often], expected[~often].sum()]
    if wanted[-1] == 0:
        if observed[-1]:
            return 0.0
        observed, wanted = observed[:-1], wanted[:-1]
    return float(stats.chisquare(observed, wanted).pvalue)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(top_k=0),
        Sampling(top_k=50),
        Sampling(top_k=50, temperature=0.7),
        Sampling(top_k=0, top_p=0.6, temperature=1.4),
        Sampling(top_k=40, top_p=0.8),
        Sampling(top_k=1),
        Sampling(top_k=0, top_p=1e-9),
    ],
    ids=str,
)
def test_the_codes_are_distributed_as_the_references(sampling: Sampling) -> None:
    scores = _scores()
    probabilities = _reference_probabilities(scores, sampling)
    counts = _counts(scores, sampling)
    assert not counts[probabilities == 0].any()
    if (probabilities > 0).sum() > 1:
        assert _fit(counts, probabilities) > 1e-3
        other = Sampling(top_k=sampling.top_k, top_p=sampling.top_p, temperature=sampling.temperature * 1.1)
        assert _fit(_counts(scores, other), probabilities) < 1e-3  # a tenth more warmth would have been seen


def test_the_repetition_penalty_is_the_formula_of_its_paper() -> None:
    scores = _scores(codebooks=2)
    used = np.zeros((2, VOCABULARY), dtype=np.bool_)
    note(used, np.array([[1, 2], [1, -1], [3, VOCABULARY]], dtype=np.int32))
    assert used.sum() == 3
    wanted = scores.copy()
    for codebook, code in ((0, 1), (0, 3), (1, 2)):
        wanted[codebook, code] = (
            wanted[codebook, code] / 1.5 if wanted[codebook, code] > 0 else wanted[codebook, code] * 1.5
        )
    options = {"top_k": 0, "temperature": 1.0}
    u = draws(1, 2, 1)[:, 0]
    for seed in range(50):
        u = draws(seed, 2, 1)[:, 0]
        mine = pick(scores.copy(), Sampling(repetition_penalty=1.5, **options), u, used)
        np.testing.assert_array_equal(mine, pick(wanted.copy(), Sampling(**options), u))
    lifted = np.full((1, VOCABULARY), -1.0, dtype=np.float32)
    lifted[0, [5, 9]] = 2.0, 1.9
    used = np.zeros((1, VOCABULARY), dtype=np.bool_)
    used[0, 5] = True
    cold = Sampling(temperature=0.0, repetition_penalty=1.2)
    assert pick(lifted.copy(), cold, u[:1]).item() == 5
    assert pick(lifted.copy(), cold, u[:1], used).item() == 9


def test_guidance_is_the_references() -> None:
    import torch
    from transformers.generation.logits_process import ClassifierFreeGuidanceLogitsProcessor

    heard, unheard = _scores(1, 4), _scores(2, 4)
    both = torch.from_numpy(np.concatenate([heard, unheard]))
    theirs = ClassifierFreeGuidanceLogitsProcessor(3.0)(torch.zeros(4, 1), both).numpy()
    np.testing.assert_allclose(guided(heard, unheard, 3.0), theirs, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 9e-4])
def test_no_temperature_draws_the_likeliest(temperature: float) -> None:
    scores = _scores(codebooks=4)
    likeliest = scores.argmax(1)
    np.testing.assert_array_equal(pick(scores, Sampling(temperature=temperature), draws(0, 1, 4)[0]), likeliest)


def test_a_steps_random_numbers_depend_on_seed_and_step_alone() -> None:
    long = draws(5, 100, 4)
    np.testing.assert_array_equal(draws(5, 30, 4), long[:30])
    assert (draws(6, 100, 4) != long).all()
    assert long.min() >= 0.0
    assert long.max() < 1.0
    assert len(np.unique(long)) == long.size


def test_seeds_of_any_size_are_seeds() -> None:
    seeds = [0, -1, 2**63, 2**64, 2**64 + 1, 2**127, 10**30]
    assert len({draws(seed, 1, 4).tobytes() for seed in seeds}) == len(seeds)
    np.testing.assert_array_equal(draws(2**128 + 3, 1, 4), draws(3, 1, 4))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_an_error(bad: float) -> None:
    scores = _scores(codebooks=4)
    scores[2, 17] = bad
    with pytest.raises(ValueError, match="no numbers"):
        pick(scores, Sampling(), draws(0, 1, 4)[0])


@pytest.mark.parametrize("vocabulary", [1, 63, 64, 65, 2048])
def test_every_random_number_draws_a_code_that_has_a_chance(vocabulary: int) -> None:
    scores = np.full((3, vocabulary), -200.0, dtype=np.float32)
    scores[:, vocabulary // 2] = 1.0
    ends = np.array([0.0, 0.5, 1.0 - 2.0**-50])
    assert pick(scores, Sampling(top_k=0), ends).tolist() == [vocabulary // 2] * 3
