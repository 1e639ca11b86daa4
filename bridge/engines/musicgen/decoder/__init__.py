"""The decoder of MusicGen: one step of it, as quick as the machine allows.

``_base`` says what a decoder is; the other modules are decoders.
"""

from bridge.engines.musicgen.decoder._base import Codes, Decoder, DecoderShape, DecoderWeights, Floats

__all__ = ["Codes", "Decoder", "DecoderShape", "DecoderWeights", "Floats"]
