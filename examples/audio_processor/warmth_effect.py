"""An effect in one file: soft saturation, as of a tape that is driven a little too hard."""

import numpy as np
import numpy.typing as npt

DRIVE = 2.0


class Warmth:
    """Bends the tops of the waves; what is soft stays as it is. Name it in a request: ``"effects": ["warmth"]``."""

    def process(self, audio: npt.NDArray[np.float32], sample_rate: int) -> npt.NDArray[np.float32]:  # noqa: ARG002
        """Return ``audio``, shape (channels, frames), driven; frame by frame, so that a loop stays a loop."""
        peak = float(np.abs(audio).max(initial=0.0))
        if peak == 0.0:
            return audio
        return (np.tanh(DRIVE * audio / peak) / np.tanh(DRIVE) * peak).astype(np.float32)
