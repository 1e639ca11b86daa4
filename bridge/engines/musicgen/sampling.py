"""From scores to codes: guidance, repetition penalty, temperature, top-k, top-p, and draws that depend on a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.engines.musicgen.decoder import Codes, Floats

__all__ = [
    "COLD",
    "Draws",
    "Sampling",
    "Used",
    "draws",
    "guided",
    "note",
    "pick",
]

Draws: TypeAlias = npt.NDArray[np.float64]
"""Random numbers, uniform in 0 <= u < 1."""
Used: TypeAlias = npt.NDArray[np.bool_]
"""(K, V): which codes a codebook has used."""

COLD: Final = 1e-3
"""Below this temperature only the likeliest code is ever drawn, and the division would leave the range of floats."""
_DRAWS_PER_BLOCK: Final = 4  # Philox4x64 makes four numbers for each value of its counter
_BLOCK: Final = 64  # codes
_BELOW_ONE: Final = 1.0 - 2.0**-50  # a sum multiplied with it stays below the sum, however it is rounded


@dataclass(frozen=True, slots=True)
class Sampling:
    """How codes are drawn."""

    temperature: float = 1.0
    """Below ``COLD``: the likeliest code, and nothing is drawn."""
    top_k: int = 250
    """Number of the likeliest codes to draw from; 0 = all codes."""
    top_p: float = 0.0
    """Draw from the likeliest codes that together have this probability, 0 < p < 1; otherwise from all."""
    guidance: float = 3.0
    """Weight of the prompt (classifier-free guidance); 1 or less = no guidance."""
    repetition_penalty: float = 1.0
    """Above 1: codes that their codebook has already used become less likely."""
    seed: int = 0
    """Any integer; seeds that differ by a multiple of 2**128 are the same."""

    @property
    def guides(self) -> bool:
        """Does it need a second, unconditional row?"""
        return self.guidance > 1.0


def draws(seed: int, steps: int, codebooks: int) -> Draws:
    """Return the random numbers of a request, (steps, K): those of a step depend on seed and step alone.

    Philox4x64-10 (Salmon et al. 2011), the seed as key: each step takes as many values of the counter as its codebooks
    need, so the numbers are the same alone, in any batch, in however many steps, on any machine.
    """
    blocks = -(-codebooks // _DRAWS_PER_BLOCK)
    random = np.random.Generator(np.random.Philox(key=seed % (1 << 128)))
    numbers = random.random((steps, blocks * _DRAWS_PER_BLOCK))[:, :codebooks]
    return np.minimum(numbers, _BELOW_ONE)


def guided(conditional: Floats, unconditional: Floats, guidance: float) -> Floats:
    """Move the scores away from the unconditional ones (Ho & Salimans 2022; MusicGen paper, section 2.4)."""
    return unconditional + np.float32(guidance) * (conditional - unconditional)


def pick(scores: Floats, sampling: Sampling, uniform: Draws, used: Used | None = None) -> Codes:
    """Draw a code for each codebook: ``scores`` (rows, K, V), ``uniform`` (K,), ``used`` (K, V) -> (K,).

    Two rows are guided: the conditional and the unconditional one. In the order of the reference: guidance,
    repetition penalty, temperature, top-k, top-p.

    Raises ValueError when the scores are not finite.
    """
    mine = scores[0].copy() if len(scores) == 1 else guided(scores[0], scores[1], sampling.guidance)
    return _pick(mine, sampling, uniform, used)


def _pick(scores: Floats, sampling: Sampling, uniform: Draws, used: Used | None) -> Codes:
    if used is not None and sampling.repetition_penalty != 1.0:
        _penalise(scores, used, sampling.repetition_penalty)
    largest = scores.max(axis=-1, keepdims=True)  # NaN if there is one
    if not np.isfinite(largest).all():
        raise ValueError("the scores are not finite")
    if sampling.temperature < COLD:
        likeliest: Codes = scores.argmax(axis=-1).astype(np.int32)
        return likeliest
    scores -= largest
    scores *= np.float32(1.0 / sampling.temperature)
    weights = np.exp(scores)
    if 0 < sampling.top_k < scores.shape[-1]:
        weights *= _likeliest(scores, sampling.top_k)
    if 0.0 < sampling.top_p < 1.0:
        weights *= _nucleus(weights, sampling.top_p)
    return _drawn(weights, uniform)


def note(used: Used, codes: Codes) -> None:
    """Mark codes (n, K) as used, in the order of the codebooks; values outside the vocabulary are skipped."""
    frame, codebook = np.nonzero((codes >= 0) & (codes < used.shape[1]))
    used[codebook, codes[frame, codebook]] = True


def _penalise(scores: Floats, used: Used, penalty: float) -> None:
    """Divide the scores above 0 and multiply those below, where a code was used (Keskar et al. 2019, section 4.1)."""
    those = scores[used]
    scores[used] = np.where(those > 0, those / np.float32(penalty), those * np.float32(penalty))


def _likeliest(scores: Floats, count: int) -> Used:
    """Say which codes are the ``count`` likeliest of their codebook, with all that tie with the last one."""
    least = np.partition(scores, scores.shape[-1] - count, axis=-1)[:, -count, None]
    among: Used = scores >= least
    return among


def _nucleus(weights: Floats, probability: float) -> Used:
    """Say which codes are the fewest that together have ``probability`` (Holtzman et al. 2019); at least one."""
    ordered = np.sort(weights, axis=-1)
    sums = ordered.cumsum(axis=-1, dtype=np.float64)
    dropped = (sums <= (1.0 - probability) * sums[:, -1:]).sum(axis=-1)
    least = ordered[np.arange(len(weights)), np.minimum(dropped, weights.shape[-1] - 1)]
    kept: Used = weights >= least[:, None]
    return kept


def _drawn(weights: Floats, uniform: Draws) -> Codes:
    """Return the first code of each row at which the cumulative share of ``weights`` (K, V) exceeds ``uniform`` (K,).

    It works in two steps, first a block of codes and then a code in it: one cumulative sum over all codes takes four
    times as long.
    """
    rows = np.arange(len(weights))
    width = _BLOCK if weights.shape[-1] % _BLOCK == 0 else weights.shape[-1]
    blocks = weights.reshape(len(weights), -1, width)
    ends = blocks.sum(axis=-1).cumsum(axis=-1, dtype=np.float64)
    wanted = uniform * ends[:, -1]
    block = (ends <= wanted[:, None]).sum(axis=-1)
    begin = np.where(block > 0, ends[rows, block - 1], 0.0)
    share = np.minimum((wanted - begin) / (ends[rows, block] - begin), _BELOW_ONE)
    sums = blocks[rows, block].cumsum(axis=-1, dtype=np.float64)
    code: Codes = block * width + (sums <= (share * sums[:, -1])[:, None]).sum(axis=-1)
    return code.astype(np.int32)
