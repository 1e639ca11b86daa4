"""Masters and deliveries: real files of libsndfile."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from bridge.audio.files import codecs
from bridge.audio.formats import FORMATS
from bridge.errors import InvalidRequest
from bridge.plugins.clip import Clip

RATES = [44100, 32000]


def pcm(frames: int, channels: int = 1, rate: int = 44100) -> codecs.Pcm:
    time = np.arange(frames) / rate
    waves = [0.5 * np.sin(2 * np.pi * (220 + 110 * channel) * time) for channel in range(channels)]
    return codecs.to_pcm(Clip.of(np.stack(waves), rate))


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frames", [1, 1151, 44100, 16384 * 2, 70001])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_decodes_to_the_exact_length(extension, rate, frames, channels):
    decoded, found = soundfile.read(
        io.BytesIO(codecs.encode(pcm(frames, channels, rate), rate, extension)), always_2d=True
    )
    assert (found, decoded.shape) == (rate, (frames, channels))


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_sounds_as_the_master_does(extension):
    master = pcm(44100, 2)
    decoded, _ = soundfile.read(io.BytesIO(codecs.encode(master, 44100, extension)), always_2d=True)
    error = decoded - master / 2**31
    assert np.sqrt(np.mean(error[1000:-1000] ** 2)) < 0.005


def test_a_loop_in_mp3_is_in_time():
    """MP3 begins with an encoder's delay; a decoder that knows the file's tag takes it away again."""
    master = codecs.to_pcm(Clip.of(np.random.default_rng(0).uniform(-0.5, 0.5, 44100), 44100))
    decoded, _ = soundfile.read(io.BytesIO(codecs.encode(master, 44100, "mp3")))
    wanted = master[10000:14000, 0] / 2**31
    assert int(np.argmax(np.correlate(decoded[9000:16000], wanted, "valid"))) == 1000


def test_sixteen_bits_are_dithered_by_the_samples_id():
    master = codecs.to_pcm(Clip.of(np.random.default_rng(0).uniform(-1, 1, 5000), 44100))
    data = codecs.encode(master, 44100, "wav", "0" * 32)
    decoded, _ = soundfile.read(io.BytesIO(data), dtype="int16")
    assert np.abs(decoded.astype(np.int64) * 65536 - master[:, 0]).max() <= 98304, "half a step, and one of noise"
    assert data == codecs.encode(master, 44100, "wav", "0" * 32)
    assert data != codecs.encode(master, 44100, "wav", "1" * 32)


@pytest.mark.parametrize("extension", ["wav24", "flac"])
def test_wav24_and_flac_are_the_master_bit_by_bit(extension):
    master = codecs.to_pcm(Clip.of(np.random.default_rng(0).uniform(-1, 1, (2, 5000)), 44100))
    decoded, _ = soundfile.read(io.BytesIO(codecs.encode(master, 44100, extension)), dtype="int32")
    assert np.array_equal(decoded, master)


def test_mp3_has_at_least_256_kbit_a_second_and_says_how_long_it_is():
    data = codecs.encode(pcm(44100 * 3, 2), 44100, "mp3")
    assert len(data) * 8 / 3 >= 256_000
    assert b"Info" in data[:200], "players cut the encoder's delay away by this tag"
    assert b"LAME" in data[:300]


def test_full_scale_and_beyond_is_held_and_never_wraps():
    master = codecs.to_pcm(Clip.of([1.0, -1.0, 1.5, -1.5, 1e30, -1e30], 44100))
    assert master[:, 0].tolist() == [(2**23 - 1) << 8, -(2**23 - 1) << 8] + [(2**23 - 1) << 8, -(2**31)] * 2
    decoded, _ = soundfile.read(io.BytesIO(codecs.encode(master, 44100, "wav")), dtype="int16")
    assert (decoded > 0).tolist() == [True, False] * 3


def test_a_master_has_24_bits_and_comes_back_bit_by_bit(tmp_path):
    master = codecs.to_pcm(Clip.of(np.random.default_rng(0).uniform(-1, 1, (2, 5000)), 32000))
    codecs.write_master(tmp_path / "master.wav", master, 32000)
    info = soundfile.info(tmp_path / "master.wav")
    assert (info.subtype, info.samplerate, info.channels, info.frames) == ("PCM_24", 32000, 2, 5000)
    again, rate = codecs.read_pcm(tmp_path / "master.wav")
    assert rate == 32000
    assert np.array_equal(again, master)
    assert codecs.sample_id(again, rate) == codecs.sample_id(master, 32000)


def test_the_id_depends_on_the_audio_alone():
    master = pcm(1000, 2)
    same = codecs.sample_id(master.copy(order="F"), 44100)
    assert same == codecs.sample_id(master, 44100)
    assert len(same) == 32
    assert int(same, 16)
    other = master.copy()
    other[500, 1] += 1 << 8
    different = [
        codecs.sample_id(other, 44100),
        codecs.sample_id(master, 32000),
        codecs.sample_id(master.reshape(-1, 1), 44100),
        codecs.sample_id(master[:-1], 44100),
    ]
    assert len({same, *different}) == 5


@pytest.mark.parametrize("extension", ["ogg", "mp3"])
def test_two_minutes_do_not_take_the_process_down(extension):
    """libvorbis, given a long sound in one piece, overflows its stack. In a process of its own, lest it be ours."""
    rate = 8000 if extension == "mp3" else 44100  # the slow one is not the one that fell
    script = (
        "import numpy; from bridge.audio.files import codecs;"
        f"print(len(codecs.encode(numpy.zeros(({rate} * 120, 2), 'int32'), {rate}, '{extension}')))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or f"ended by signal {-done.returncode}"
    assert int(done.stdout) > 1000


def test_what_mp3_cannot_hold_is_said_in_a_sentence():
    for rate, channels in ((96000, 1), (44100, 3)):
        with pytest.raises(InvalidRequest, match="flac"):
            codecs.encode(pcm(100, channels), rate, "mp3")
