"""Part of the MusicGen benchmark: transformers' generate() in turn with our engine, and the scores all are held to.

``python -P -m tests.benchmarks._musicgen_reference FOLDER float32|bfloat16 [full] [cuda]``
"""

from __future__ import annotations

import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks._musicgen_model import DELAY, FRAMES_A_SECOND, PROMPT, SEED, SIZES, say, threads
from tests.benchmarks._musicgen_ours import make, open_engine
from tests.benchmarks._quiet import Block, Blocks, measured, ratio

SECONDS = 5
SHORT, LONG = 13, 53
"""Steps that are timed; what a step more costs is their difference. Later steps, with more to look back at, cost more:
what is worked out for ``SECONDS`` is a lower bound, in their favour."""
POSITIONS = 64


def main(folder: Path, dtype: str, full: bool, device: str = "cpu") -> None:
    """Time generate(); in float32, write ``reference.npz``, too."""
    import torch
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    warnings.simplefilter("ignore")
    torch.set_num_threads(threads())
    torch.set_grad_enabled(False)
    model = MusicgenForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype)).eval().to(device)
    words = AutoTokenizer.from_pretrained(folder)(PROMPT, return_tensors="pt").to(device)
    if (dtype, device) == ("float32", "cpu"):
        _write_scores(model, words, folder / "reference.npz")
    steps = SECONDS * FRAMES_A_SECOND + DELAY

    def generate(count: int) -> float:
        began = time.perf_counter()
        model.generate(**words, max_new_tokens=count, do_sample=True, guidance_scale=3.0).cpu()
        return time.perf_counter() - began

    engine = open_engine(folder, device)
    make(engine, 1, 1.0)
    generate(SHORT)
    works = {"whole": partial(generate, steps)} if full else {str(n): partial(generate, n) for n in (SHORT, LONG)}
    timed = measured(works | {"ours": partial(make, engine, 1, SECONDS)}, blocks=1 if full else 3, most_seconds=90)
    whole = timed["whole"] if full else _worked_out(timed[str(SHORT)], timed[str(LONG)], steps)
    how = f"all {steps} steps" if full else f"worked out from {SHORT} and {LONG} of {steps} steps"
    facts = {"whole": whole.value, "step": whole.value / steps, "note": f"{how}, {whole.note}"}
    say(**facts, ours=timed["ours"].value, ratio=ratio(whole, timed["ours"]), tokens=int(words["input_ids"].shape[1]))


def _worked_out(short: Blocks, long: Blocks, steps: int) -> Blocks:
    """What ``steps`` steps would have taken in each round."""
    rounds = []
    for few, many in zip(short.all, long.all, strict=True):
        step = (many.value - few.value) / (LONG - SHORT)
        rounds.append(Block(many.value + (steps - LONG) * step, max(few.others, many.others)))
    return Blocks(rounds)


def _write_scores(model: Any, words: Any, path: Path) -> None:
    """Keep the decoder's scores of random codes, with and without the prompt, and the prompt's encoder states."""
    import torch

    shape = SIZES["small"]
    states = model.enc_to_dec_proj(model.text_encoder(**words).last_hidden_state)
    states = torch.cat([states, torch.zeros_like(states)])
    codes = np.random.default_rng(SEED).integers(0, shape.vocabulary, (POSITIONS, shape.codebooks), dtype=np.int32)
    codes[0] = shape.vocabulary
    given = torch.from_numpy(codes.T.astype(np.int64)).repeat(2, 1)
    scores = model.decoder(input_ids=given, encoder_hidden_states=states).logits
    scores = scores.view(2, shape.codebooks, POSITIONS, shape.vocabulary).permute(2, 0, 1, 3)
    np.savez(path, encoder_states=states[0].numpy(), codes=codes, scores=scores.numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], "full" in sys.argv[3:], "cuda" if "cuda" in sys.argv[3:] else "cpu")
