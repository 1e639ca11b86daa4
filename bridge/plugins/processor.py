# SPDX-License-Identifier: Apache-2.0
"""What an audio processor is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # the server asks for names alone, and gets by without numpy
    import numpy as np
    import numpy.typing as npt


@runtime_checkable
class AudioProcessor(Protocol):
    """Changes audio. Built by its class or factory without arguments, once per process; several threads call it.

    The same audio has to give the same result: what is made of one spec is one sound.
    """

    def process(self, audio: npt.NDArray[np.float32], sample_rate: int) -> npt.NDArray[np.float32]:
        """Return ``audio`` changed: the same shape (channels, frames), float32, nominally -1..1, ``sample_rate`` Hz."""
        ...
