"""A WAV file's chunks, as libsndfile reads them."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from bridge.audio.files import riff


def wav(frames: int = 1001, channels: int = 1, subtype: str = "PCM_24") -> bytes:
    samples = np.arange(frames * channels, dtype=np.int32).reshape(frames, channels) << 10
    file = io.BytesIO()
    soundfile.write(file, samples, 44100, format="WAV", subtype=subtype)
    return file.getvalue()


def report(data: bytes) -> str:
    """What libsndfile found in the file, chunk by chunk."""
    return str(soundfile.info(io.BytesIO(data), verbose=True).extra_info)


@pytest.mark.parametrize("frames", [1, 2, 1000, 1001])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_chunks_behind_the_audio_leave_the_audio_alone(frames, subtype):
    plain = wav(frames, subtype=subtype)
    more = [riff.Chunk(b"odd ", b"123"), riff.info({"INAM": "één"})]
    full = riff.with_chunks(plain, more)
    assert full[: len(plain)][8:] == plain[8:], "the audio stays where it is"
    assert struct.unpack_from("<I", full, 4)[0] == len(full) - 8
    assert np.array_equal(soundfile.read(io.BytesIO(full))[0], soundfile.read(io.BytesIO(plain))[0])
    assert riff.chunks(full, behind=riff.audio_end(full)) == more


def test_new_chunks_take_the_place_of_the_old_ones():
    full = riff.with_chunks(wav(), [riff.info({"INAM": "first"})])
    assert riff.with_chunks(full, [riff.info({"INAM": "second"})]) == riff.with_chunks(
        wav(), [riff.info({"INAM": "second"})]
    )


def test_a_loop_point_names_the_last_frame_and_never_ends():
    found = " ".join(report(riff.with_chunks(wav(1001), [riff.smpl(44100, 57, (0, 1001))])).split())
    assert "Midi Note : 57" in found
    assert "Loop Count : 1" in found
    assert "Start : 0 End : 1000 Fraction : 0 Count : 0" in found


def test_tempo_beats_meter_and_root_are_read_back():
    found = report(riff.with_chunks(wav(), [riff.acid(one_shot=False, root=65, beats=7, meter=(7, 8), bpm=174.5)]))
    for text in ("Tempo      : 174.5", "7/8", "Beats      : 7", "Stretch", "Root note : 0x41"):
        assert text.replace(" ", "") in found.replace(" ", ""), found
    one_shot = report(riff.with_chunks(wav(), [riff.acid(one_shot=True, root=None, beats=0, meter=(4, 4), bpm=0)]))
    assert "(OneShot,RootNoteInvalid,StretchOff" in one_shot, one_shot


def test_the_broadcast_chunk_is_602_bytes_and_a_history():
    chunk = riff.bext(
        description="Made by a machine — " + "x" * 300,
        originator="sample-bridge",
        reference="0" * 32,
        created="2026-11-20T11:27:36Z",
        history="A=PCM,F=44100,W=24,M=mono,T=test\r\n",
    )
    assert len(chunk.data) == 602 + 34
    assert riff.read_history(chunk) == "A=PCM,F=44100,W=24,M=mono,T=test\r\n"
    # EBU Tech 3285: description 256, originator 32, reference 32, date 10, time 8, time reference 8, version 2.
    assert chunk.data[:20] == b"Made by a machine ? "
    assert chunk.data[256:288].rstrip(b"\0") == b"sample-bridge"
    assert chunk.data[288:320] == b"0" * 32
    assert chunk.data[320:338] == b"2026-11-2011:27:36"
    assert chunk.data[338:348] == b"\0" * 8 + b"\x01\0"
    assert "bext : 636" in report(riff.with_chunks(wav(), [chunk]))


def test_texts_are_read_back():
    texts = {"INAM": "a", "ICMT": '{"x": "ü"}', "ISFT": "even"}
    assert riff.read_info(riff.info(texts)) == texts
    assert riff.read_info(riff.Chunk(b"LIST", b"adtl")) == {}
    assert riff.read_info(riff.Chunk(b"LIST", b"INFOINAM\xff\xff\xff\xff")) == {"INAM": ""}


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\0\0\0\0AVI ", b"fLaC" * 9, wav()[:20]])
def test_what_is_no_wav_is_refused(data):
    with pytest.raises(riff.NotRiff):
        riff.audio_end(data)


def test_a_file_that_is_cut_off_gives_what_is_there():
    full = riff.with_chunks(wav(), [riff.info({"INAM": "kept"}), riff.info({"INAM": "cut"})])
    assert [riff.read_info(chunk) for chunk in riff.chunks(full[:-2], behind=40)] == [{"INAM": "kept"}]
    assert riff.audio_end(wav()[:100]) == 100
