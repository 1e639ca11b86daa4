"""MusicGen's codec, EnCodec: from codes to audio as they come, and from audio to codes.

Public names: StreamingCodec, CodecStream.
"""

from bridge.engines.musicgen.codec._streaming import CodecStream, StreamingCodec

__all__ = ["CodecStream", "StreamingCodec"]
