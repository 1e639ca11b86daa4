"""The decoder of MusicGen: one step of it, as quick as the machine allows.

``interface`` says what a decoder can; ``kernel``, ``torch_step`` and ``cuda_graph`` are decoders.
"""

from bridge.engines.musicgen.decoder.interface import Codes, Decoder, DecoderShape, DecoderWeights, Floats

__all__ = ["Codes", "Decoder", "DecoderShape", "DecoderWeights", "Floats"]
