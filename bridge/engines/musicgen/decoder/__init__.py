"""The decoder of MusicGen: one step of it, as quick as the machine allows.

``_base`` is the interface; ``kernel``, ``torch_step`` and ``cuda_graph`` are decoders.
"""

from bridge.engines.musicgen.decoder._base import Codes, Decoder, DecoderShape, DecoderWeights, Floats

__all__ = ["Codes", "Decoder", "DecoderShape", "DecoderWeights", "Floats"]
