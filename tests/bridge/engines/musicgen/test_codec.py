"""The streaming codec makes, in parts, what transformers' makes of the whole."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
import transformers

from bridge.engines.musicgen.codec import StreamingCodec, _streaming
from bridge.engines.musicgen.codec._layers import Layers, LstmPart, read_layers
from bridge.engines.musicgen.codec._native_layers import native_layers
from bridge.engines.musicgen.codec._torch_layers import TorchLayers
from bridge.engines.musicgen.decoder.interface import Codes, Floats
from bridge.engines.musicgen.kernel.build import instruction_sets
from bridge.engines.musicgen.kernel.codec_library import codec_library
from bridge.errors import EngineError, EngineUnavailable
from tests.tiny_musicgen import VOCABULARY, build_tiny_musicgen

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

WAYS = ["torch", *instruction_sets()]
"""What can compute it."""
EXACT = 1e-5
"""Of the loudest sample."""


def codec_of(folder: Path) -> Any:
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    name = "MusicgenMelody" if kind == "musicgen_melody" else "Musicgen"
    return getattr(transformers, f"{name}ForConditionalGeneration").from_pretrained(folder).audio_encoder.eval()


@pytest.fixture(scope="module")
def model(tiny: Path) -> Any:
    return codec_of(tiny)


@pytest.fixture(scope="module")
def codec(model: Any) -> StreamingCodec:
    return StreamingCodec(model)


def computed_by(way: str, model: Any, precision: str = "float32", channels: int = 1) -> StreamingCodec:
    layers: Layers | str
    if way == "torch":
        kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
        layers = TorchLayers(read_layers(model), torch.device("cpu"), kind)
    else:
        layers = native_layers(read_layers(model), precision, threads=2, isa=way)
        if isinstance(layers, str):
            pytest.skip(f"{way}: {layers}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_streaming, "_choose", lambda *_, **__: layers)
        return StreamingCodec(model, precision, channels=channels)


def codes_of(count: int, codebooks: int = 4, seed: int = 0, vocabulary: int = VOCABULARY) -> Codes:
    return np.random.default_rng(seed).integers(0, vocabulary, (count, codebooks), dtype=np.int32)


def whole(model: Any, codes: Codes) -> Floats:
    """What transformers makes of them: (channels, frames)."""
    channels = codes.shape[1] // len(model.quantizer.layers)
    with torch.no_grad():
        tracks = [torch.from_numpy(codes[:, i::channels].T.astype(np.int64))[None, None] for i in range(channels)]
        return torch.cat([model.decode(track, [None]).audio_values[0] for track in tracks]).numpy()


def in_parts(codec: StreamingCodec, codes: Codes, size: int) -> Floats:
    stream = codec.decoding()
    pieces = [stream.push(codes[at : at + size]) for at in range(0, len(codes), size)]
    return np.concatenate([*pieces, stream.finish()], axis=1)


def error(made: Floats, wanted: Floats) -> float:
    assert made.shape == wanted.shape
    assert np.abs(wanted).max() > 1e-3, "silence is equal to anything"
    return float(np.abs(made - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 7, 25, 70])
def test_parts_of_any_size_are_the_whole(model: Any, way: str, size: int) -> None:
    codes = codes_of(70)
    assert error(in_parts(computed_by(way, model), codes, size), whole(model, codes)) < EXACT


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 33])
def test_a_sound_may_be_as_short_as_one_code(model: Any, way: str, count: int) -> None:
    codes = codes_of(count, seed=count)
    assert error(in_parts(computed_by(way, model), codes, 2), whole(model, codes)) < EXACT


@pytest.fixture(scope="module")
def stereo(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return codec_of(build_tiny_musicgen(tmp_path_factory.mktemp("stereo") / "musicgen", channels=2))


@pytest.mark.parametrize("way", WAYS)
def test_a_stereo_models_codes_are_left_and_right_in_turn(stereo: Any, way: str) -> None:
    codes = codes_of(40, codebooks=8)
    codec = computed_by(way, stereo, channels=2)
    made = in_parts(codec, codes, 9)
    assert made.shape == (2, 40 * codec.hop)
    assert error(made, whole(stereo, codes)) < EXACT
    assert error(made[:1], made[1:]) > 0.1


@pytest.fixture(scope="module")
def real_size(one_thread: None) -> Any:
    """EnCodec as in facebook/musicgen-*: 28 million weights in its decoder."""
    torch.manual_seed(0)
    config = transformers.EncodecConfig(
        sampling_rate=32_000, audio_channels=1, normalize=False, num_filters=64, num_residual_layers=1,
        upsampling_ratios=[8, 5, 4, 4], hidden_size=128, codebook_size=2048, codebook_dim=128,
        target_bandwidths=[2.2], use_causal_conv=False, chunk_length_s=None, use_conv_shortcut=False,
    )  # fmt: skip
    model = transformers.EncodecModel(config).eval()
    with torch.no_grad():
        for layer in model.quantizer.layers:
            layer.codebook.embed.normal_()
        for name, weights in model.decoder.named_parameters():
            if "bias" in name and "lstm" not in name:
                weights.zero_()  # else they, not the codes, are most of what is heard
    return model


@pytest.fixture(scope="module")
def real_sound(real_size: Any) -> tuple[Codes, Floats]:
    codes = codes_of(36, vocabulary=2048)
    return codes, whole(real_size, codes)


@pytest.mark.parametrize(
    ("way", "precision", "most"),
    [(way, "float32", 2e-6) for way in WAYS] + [(way, "bfloat16", 8e-3) for way in ("torch", "avx512bf16")],
)
def test_at_its_real_size_the_error_is_that_of_the_precision(
    real_size: Any, real_sound: tuple[Codes, Floats], way: str, precision: str, most: float
) -> None:
    codec, (codes, wanted) = computed_by(way, real_size, precision), real_sound
    made = in_parts(codec, codes, 25)
    noise = float(np.sqrt(np.mean((made - wanted) ** 2)) / wanted.std())
    assert noise < most
    if "bfloat16" in codec.description:
        assert noise > 1e-5, "that is float32"


@pytest.mark.arch
def test_bfloat16_in_parts_is_bfloat16_of_the_whole_to_the_last_bit(model: Any) -> None:
    codec = computed_by("avx512bf16", model, "bfloat16")
    codes = codes_of(70)
    assert np.array_equal(in_parts(codec, codes, 70), in_parts(codec, codes, 11))


@pytest.mark.parametrize("way", WAYS)
def test_sounds_of_many_threads_are_what_each_is_alone(model: Any, way: str) -> None:
    codec = computed_by(way, model)
    sounds = [codes_of(30 + 9 * i, seed=i) for i in range(6)]
    alone = [in_parts(codec, codes, 10) for codes in sounds]
    together: dict[int, Floats] = {}
    begun = threading.Barrier(len(sounds))

    def decode(i: int) -> None:
        begun.wait()
        together[i] = in_parts(codec, sounds[i], 10)

    threads = [threading.Thread(target=decode, args=(i,)) for i in range(len(sounds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, made in enumerate(alone):
        assert np.array_equal(together[i], made)


@pytest.mark.parametrize("way", WAYS)
def test_parts_decoded_in_one_go_are_what_each_is_alone(model: Any, way: str) -> None:
    """Lengths differ, so the LSTM runs with fewer and fewer of them; more of them than a tile has rows."""
    layers = computed_by(way, model)._together._layers
    lengths = [3, 20, 1, 7, 7, 12, 5, 30]

    def parts() -> list[LstmPart]:
        made = []
        for seed, take in enumerate(lengths):
            inputs = np.random.default_rng(seed).standard_normal((take + 6, 16)).astype(np.float32)
            made.append(LstmPart(inputs, 3, take, np.zeros((1, 2, 64), np.float32)))
        return made

    at_once, states = layers.lstm(first := parts()), [part.state for part in first]
    for i, part in enumerate(parts()):
        assert np.array_equal(layers.lstm([part])[0], at_once[i])
        assert np.array_equal(part.state, states[i])
    audio = layers.decode(at_once)
    for i, rows in enumerate(at_once):
        assert np.array_equal(layers.decode([rows])[0], audio[i])


def test_audio_is_settled_four_codes_behind(codec: StreamingCodec) -> None:
    stream, codes = codec.decoding(), codes_of(29)
    assert stream.push(codes[:4]).shape == (1, 0)
    assert stream.push(codes[4:]).shape == (1, 25 * codec.hop)
    assert stream.push(codes[:0]).shape == (1, 0)
    assert stream.finish().shape == (1, 4 * codec.hop)


def test_nothing_is_decoded_of_no_codes(codec: StreamingCodec) -> None:
    assert codec.decoding().finish().shape == (1, 0)


def test_a_long_sound_is_not_kept(codec: StreamingCodec) -> None:
    stream = codec.decoding()
    for seed in range(20):
        stream.push(codes_of(20, seed=seed))
    (track,) = stream._tracks
    assert len(track._inputs) + len(track._hidden) < 15


def test_every_weight_is_used(tiny: Path) -> None:
    model, codes = codec_of(tiny), codes_of(12)
    before = in_parts(StreamingCodec(model), codes, 12)
    silent = []
    for name, weights in model.decoder.named_parameters():
        kept = weights.detach().clone()
        with torch.no_grad():
            weights.add_(0.1 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)) + 0.01)
        changed = in_parts(StreamingCodec(model), codes, 12)
        assert error(changed, whole(model, codes)) < EXACT, name
        if np.abs(changed - before).max() < 1e-6:
            silent.append(name)
        with torch.no_grad():
            weights.copy_(kept)
    assert not silent


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [640 * 30, 640 * 3 + 17, 100])
def test_audio_becomes_the_codes_that_transformers_makes_of_it(model: Any, channels: int, frames: int) -> None:
    codec = StreamingCodec(model, channels=channels)
    audio = np.random.default_rng(frames).normal(0, 0.2, (channels, frames)).astype(np.float32)
    codes = codec.encode(audio)
    assert codes.shape == (-(-frames // codec.hop), 4 * channels)
    for channel in range(channels):
        with torch.no_grad():
            wanted = model.encode(torch.from_numpy(audio[channel])[None, None]).audio_codes[0, 0].T.numpy()
        assert np.array_equal(codes[:, channel::channels], wanted)
    assert len(np.unique(codes)) > 1


def test_what_is_encoded_and_decoded_keeps_its_length(codec: StreamingCodec) -> None:
    audio = np.random.default_rng(2).normal(0, 0.2, (1, 640 * 8)).astype(np.float32)
    assert in_parts(codec, codec.encode(audio), 3).shape == audio.shape


def test_the_encoder_is_loaded_when_audio_is_encoded_and_the_model_is_not_kept(tiny: Path) -> None:
    loads = []

    def load() -> Any:
        loads.append(1)
        return codec_of(tiny)

    given = codec_of(tiny)
    seen = weakref.ref(given)
    codec = StreamingCodec(given, load_encoder=load)
    del given
    gc.collect()
    assert seen() is None
    in_parts(codec, codes_of(6), 6)
    assert not loads
    codec.encode(np.zeros((1, 640), np.float32))
    assert loads == [1]


@pytest.mark.parametrize("shape", [(640,), (2, 640), (1, 0)])
def test_audio_of_another_shape_is_an_error(codec: StreamingCodec, shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match="channel"):
        codec.encode(np.zeros(shape, np.float32))


def test_codes_that_are_none_are_an_error(codec: StreamingCodec) -> None:
    with pytest.raises(EngineError, match="shape"):
        codec.decoding().push(codes_of(3, codebooks=8))
    for wrong in (VOCABULARY, -1):
        codes = codes_of(3)
        codes[1, 2] = wrong
        with pytest.raises(EngineError, match="outside"):
            codec.decoding().push(codes)


def test_a_finished_stream_takes_no_more(codec: StreamingCodec) -> None:
    stream = codec.decoding()
    stream.finish()
    with pytest.raises(RuntimeError, match="start another"):
        stream.push(codes_of(1))


def test_what_fails_fails_alone_and_the_codec_goes_on(codec: StreamingCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = codes_of(10)
    good = in_parts(codec, codes, 10)

    def no_memory(parts: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(codec._together._layers, "decode", no_memory)
        with pytest.raises(MemoryError):
            codec.decoding().push(codes)
    assert np.array_equal(in_parts(codec, codes, 10), good)


def test_what_fails_fails_for_all_that_are_decoded_together(
    codec: StreamingCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, asked, failed = codec._together, threading.Semaphore(0), []

    def no_memory(parts: Any) -> Any:
        raise MemoryError

    class Asked(list[Any]):
        def append(self, request: Any) -> None:
            super().append(request)
            asked.release()

    def decode() -> None:
        try:
            codec.decoding().push(codes_of(10))
        except MemoryError:
            failed.append(1)

    monkeypatch.setattr(together._layers, "decode", no_memory)
    monkeypatch.setattr(together, "_requests", Asked())
    threads = [threading.Thread(target=decode) for _ in range(3)]
    with together._decoding_lock:  # somebody else's sound is being decoded while all three come
        for thread in threads:
            thread.start()
        for _ in threads:
            assert asked.acquire(timeout=60)
    for thread in threads:
        thread.join()
    assert len(failed) == 3


def test_another_kind_of_codec_is_refused_by_a_sentence() -> None:
    config = transformers.EncodecConfig(num_filters=4, hidden_size=16, codebook_size=64, codebook_dim=16)
    with pytest.raises(EngineUnavailable, match="not the one of a MusicGen"):
        StreamingCodec(transformers.EncodecModel(config))


def test_without_a_kernel_torch_decodes(
    model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_streaming, "native_layers", lambda *_, **__: "there is no C++ compiler")
    codec = StreamingCodec(model)
    assert codec.description == "torch on cpu, float32"
    assert "there is no C++ compiler" in caplog.text
    codes = codes_of(20)
    assert error(in_parts(codec, codes, 6), whole(model, codes)) < EXACT


def test_a_processor_without_bfloat16_decodes_in_float32(model: Any) -> None:
    assert computed_by("portable", model, "bfloat16").description == "portable kernel, float32"


def test_a_machine_without_a_compiler_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.engines.musicgen.kernel.codec_library.BUILT", tmp_path)
    monkeypatch.setenv("CXX", "no-such-compiler")
    said = codec_library()
    assert isinstance(said, str)
    assert "compiler" in said
