"""Codes are drawn as the reference draws them, and a seed draws the same ones again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("torch")

from bridge.engines.musicgen.decoder import Codes, Floats
from bridge.engines.musicgen.decoder.kernel import as_entry
from bridge.engines.musicgen.kernel import kernel_library, library
from bridge.engines.musicgen.sampling import Draws, Sampling, Used, draws, guided, note
from bridge.engines.musicgen.sampling import pick as plain_pick

pytestmark = pytest.mark.torch

VOCABULARY = 256
MANY = 20_000


Pick: TypeAlias = Callable[[Floats, Sampling, Draws, Used | None], Codes]


@pytest.fixture(params=["numpy", "kernel"])
def pick(request: pytest.FixtureRequest) -> Pick:
    """Both that draw."""
    if request.param == "numpy":
        return plain_pick
    if isinstance(found := kernel_library(), str):
        pytest.skip(found)
    return _kernel_pick


def _kernel_pick(scores: Floats, sampling: Sampling, uniform: Draws, used: Used | None = None) -> Codes:
    how = np.array(as_entry(sampling), dtype=library.SAMPLING)
    codes = np.zeros(scores.shape[1], dtype=np.int32)
    draw = library.load_library(None).musicgen_draw  # once: it looks at every source of the kernel
    for book, number in enumerate(uniform.tolist()):
        conditional, unconditional = scores[0, book], scores[-1, book]
        fault = draw(
            how.ctypes.data,
            conditional.ctypes.data,
            unconditional.ctypes.data if len(scores) > 1 else None,
            None if used is None else used[book].ctypes.data,
            number,
            scores.shape[2],
            codes[book:].ctypes.data,
        )
        if fault == library.NO_NUMBERS:
            raise ValueError("the scores are not finite")
        assert fault == library.DONE
    return codes


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


def _counts(pick: Pick, scores: Floats, sampling: Sampling) -> np.ndarray[Any, Any]:
    codes = pick(np.repeat(scores, MANY, axis=0)[None], sampling, draws(7, MANY, 1)[:, 0].copy(), None)
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
def test_the_codes_are_distributed_as_the_references(pick: Pick, sampling: Sampling) -> None:
    scores = _scores()
    probabilities = _reference_probabilities(scores, sampling)
    counts = _counts(pick, scores, sampling)
    assert not counts[probabilities == 0].any()
    if (probabilities > 0).sum() > 1:
        assert _fit(counts, probabilities) > 1e-3
        other = Sampling(top_k=sampling.top_k, top_p=sampling.top_p, temperature=sampling.temperature * 1.1)
        assert _fit(_counts(pick, scores, other), probabilities) < 1e-3  # a tenth more warmth would have been seen


def test_the_repetition_penalty_is_the_formula_of_its_paper(pick: Pick) -> None:
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
    for seed in range(50):
        u = draws(seed, 2, 1)[:, 0].copy()
        mine = pick(scores[None], Sampling(repetition_penalty=1.5, **options), u, used)
        np.testing.assert_array_equal(mine, pick(wanted[None], Sampling(**options), u, None))
    lifted = np.full((1, VOCABULARY), -1.0, dtype=np.float32)
    lifted[0, [5, 9]] = 2.0, 1.9
    used = np.zeros((1, VOCABULARY), dtype=np.bool_)
    used[0, 5] = True
    cold = Sampling(temperature=0.0, repetition_penalty=1.2)
    assert pick(lifted[None], cold, u[:1], None).item() == 5
    assert pick(lifted[None], cold, u[:1], used).item() == 9


def test_guidance_is_the_references() -> None:
    import torch
    from transformers.generation.logits_process import ClassifierFreeGuidanceLogitsProcessor

    conditional, unconditional = _scores(1, 4), _scores(2, 4)
    both = torch.from_numpy(np.concatenate([conditional, unconditional]))
    theirs = ClassifierFreeGuidanceLogitsProcessor(3.0)(torch.zeros(4, 1), both).numpy()
    np.testing.assert_allclose(guided(conditional, unconditional, 3.0), theirs, atol=1e-5)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(guidance=1.0, top_k=0),
        Sampling(guidance=7.5, top_k=5, temperature=0.6),
        Sampling(top_k=0, top_p=0.9, temperature=1.3),
        Sampling(top_k=100, top_p=0.5, repetition_penalty=1.4),
        Sampling(temperature=0.0, repetition_penalty=2.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("pick", ["kernel"], indirect=True)
def test_the_kernel_draws_what_numpy_draws(pick: Pick, sampling: Sampling) -> None:
    random = np.random.default_rng(3)
    for seed in range(100):
        scores = 3.0 * random.standard_normal((2 if sampling.guides else 1, 4, 2048), dtype=np.float32)
        scores[:, 0, :300] = scores[:, 0, 300, None]  # what ties
        used = random.random((4, 2048)) < 0.1
        uniform = draws(seed, 1, 4)[0]
        np.testing.assert_array_equal(
            pick(scores, sampling, uniform, used), plain_pick(scores, sampling, uniform, used), err_msg=str(seed)
        )


@pytest.mark.parametrize("temperature", [0.0, 9e-4])
def test_no_temperature_draws_the_likeliest(pick: Pick, temperature: float) -> None:
    scores = _scores(codebooks=4)
    likeliest = scores.argmax(1)
    np.testing.assert_array_equal(
        pick(scores[None], Sampling(temperature=temperature), draws(0, 1, 4)[0], None), likeliest
    )


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
def test_scores_that_are_no_numbers_are_an_error(pick: Pick, bad: float) -> None:
    scores = _scores(codebooks=4)
    scores[2, 17] = bad
    with pytest.raises(ValueError, match="not finite"):
        pick(scores[None], Sampling(), draws(0, 1, 4)[0], None)


@pytest.mark.parametrize("vocabulary", [1, 63, 64, 65, 2048])
def test_every_random_number_draws_a_code_that_has_a_chance(pick: Pick, vocabulary: int) -> None:
    scores = np.full((3, vocabulary), -200.0, dtype=np.float32)
    scores[:, vocabulary // 2] = 1.0
    ends = np.array([0.0, 0.5, 1.0 - 2.0**-50])
    assert pick(scores[None], Sampling(top_k=0), ends, None).tolist() == [vocabulary // 2] * 3
