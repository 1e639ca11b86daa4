"""Tags in real files; mutagen and libsndfile read what we write."""

from __future__ import annotations

import io
import json
import re
import struct
import zlib

import mutagen.flac
import mutagen.id3
import mutagen.oggvorbis
import numpy as np
import pytest
import soundfile

from bridge.audio.facts import SampleFacts
from bridge.audio.files import codecs, provenance, riff, tags
from bridge.audio.formats import FORMATS
from bridge.plugins.clip import Clip

FACTS = {
    "prompt": "dusty «break», 92 bpm",
    "kind": "loop",
    "bpm": 92.5,
    "bars": 1,
    "beats": 4.0,
    "key": "f#m",
    "root": None,
    "seed": 7,
    "engine": "musicgen",
    "licence": "CC-BY-NC-4.0",
    "digital_source_type": "trainedAlgorithmicMedia",
    "created_at": "2026-11-20T11:27:36Z",
    "spec": {"prompt": "dusty «break», 92 bpm", "guidance": 3.0},
}


def pcm(frames: int = 20001, channels: int = 2) -> codecs.Pcm:
    return codecs.to_pcm(Clip.of(np.random.default_rng(1).uniform(-0.5, 0.5, (channels, frames)), 44100))


def document(audio: codecs.Pcm, **more) -> dict:
    ident = codecs.sample_id(audio, 44100)
    return provenance.document(
        SampleFacts.of(FACTS | more), sample_id=ident, rate=44100, channels=audio.shape[1], frames=audio.shape[0]
    )


def made(extension: str, audio: codecs.Pcm | None = None, **more) -> bytes:
    audio = pcm() if audio is None else audio
    found = document(audio, **more)
    return tags.tagged(codecs.encode(audio, 44100, extension, found["sample_id"]), extension, found)


@pytest.mark.parametrize("extension", FORMATS)
def test_the_document_is_whole_in_every_format(extension):
    data = made(extension)
    form, found = tags.read(data)
    assert form in ("WAV", "FLAC", "Ogg Vorbis", "MP3")
    assert found == document(pcm())
    assert found["prompt"] == "dusty «break», 92 bpm"


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("frames", [1, 1151, 20001])
def test_tags_change_no_sample(extension, frames):
    audio = pcm(frames)
    plain = codecs.encode(audio, 44100, extension, codecs.sample_id(audio, 44100))
    before, after = (soundfile.read(io.BytesIO(each))[0] for each in (plain, made(extension, audio)))
    assert after.shape == (frames, 2)
    assert np.array_equal(before, after)


@pytest.mark.parametrize("extension", FORMATS)
def test_the_same_sample_is_the_same_file_byte_by_byte(extension):
    assert made(extension) == made(extension)


@pytest.mark.parametrize("extension", FORMATS)
def test_tagging_again_replaces_what_was_there(extension):
    other = document(pcm(), prompt="x")
    assert tags.tagged(made(extension), extension, other) == tags.tagged(
        codecs.encode(pcm(), 44100, extension, other["sample_id"]), extension, other
    )


@pytest.mark.parametrize("extension", ["wav24", "flac"])
def test_what_is_lossless_still_has_its_id(extension, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(made(extension))
    again, rate = codecs.read_pcm(path)
    assert codecs.sample_id(again, rate) == document(pcm())["sample_id"]


def test_mp3_has_id3_frames():
    found = mutagen.id3.ID3(io.BytesIO(made("mp3")))
    assert str(found["TIT2"]) == "dusty «break», 92 bpm"
    assert (str(found["TBPM"]), str(found["TKEY"]), str(found["TCOP"])) == ("92", "F#m", "2026 CC-BY-NC-4.0")
    assert str(found["TXXX:BPM"]) == "92.5"
    assert json.loads(str(found["TXXX:PROVENANCE"]))["seed"] == 7
    assert "CC-BY-NC-4.0" in str(found["COMM::eng"])


def test_mp3_of_another_program_is_read():
    """mutagen writes version 2.3 in UTF-16; so do many editors, and our document survives them."""
    stream = io.BytesIO(made("mp3"))
    found = mutagen.id3.ID3(stream)
    for frame in list(found.values()):
        if hasattr(frame, "encoding"):
            frame.encoding = mutagen.id3.Encoding.UTF16
    stream.seek(0)
    found.save(stream, v2_version=3)
    assert tags.read(stream.getvalue())[1] == document(pcm())


def test_an_mp3_that_ends_with_the_letters_of_an_older_tag_keeps_its_audio():
    audio = bytearray(codecs.encode(pcm(), 44100, "mp3"))
    audio[-128:-125] = b"TAG"
    assert tags.tagged(bytes(audio), "mp3", document(pcm())).endswith(audio)


@pytest.mark.parametrize("zeros", [zlib.compress(bytes(200 << 20), 9), bytes(200 << 10)], ids=["compressed", "plain"])
def test_a_small_tag_that_was_made_to_keep_a_reader_busy_is_passed_over(zeros):
    def size(number: int) -> bytes:
        return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))

    compressed = zeros[:1] == b"x"
    frame = (size(200 << 20) if compressed else b"\x03") + zeros
    frame = b"TXXX" + size(len(frame)) + (b"\0\x09" if compressed else b"\0\0") + frame
    assert tags.read(b"ID3\x04\0\0" + size(len(frame)) + frame + b"\xff\xfb") == ("MP3", None)


@pytest.mark.parametrize(("extension", "reader"), [("flac", mutagen.flac.FLAC), ("ogg", mutagen.oggvorbis.OggVorbis)])
def test_flac_and_ogg_have_vorbis_comments(extension, reader):
    found = reader(io.BytesIO(made(extension)))
    assert found["TITLE"] == ["dusty «break», 92 bpm"]
    assert (found["BPM"], found["INITIALKEY"], found["LICENSE"]) == (["92.5"], ["F#m"], ["CC-BY-NC-4.0"])
    assert (found["LOOPSTART"], found["LOOPLENGTH"]) == (["0"], ["20001"])
    assert json.loads(found["PROVENANCE"][0]) == document(pcm())
    assert found.tags.vendor


@pytest.mark.parametrize("size", [0, 200, 255 * 200, 255 * 255 + 7, 200_000])
def test_an_ogg_comment_of_any_length_is_cut_into_pages(size):
    audio = pcm(44100)
    data = made("ogg", audio, decisions=["x" * size])
    assert soundfile.read(io.BytesIO(data))[0].shape == (44100, 2)
    assert mutagen.oggvorbis.OggVorbis(io.BytesIO(data))["PROVENANCE"]
    assert tags.read(data)[1]["decisions"] == ["x" * size]


@pytest.mark.parametrize("frames", [1, 64, 500, 2047, 20001])
def test_an_ogg_of_any_length_has_a_page_of_audio_before_the_last(frames):
    """Chromium cuts up to 128 samples off, or refuses the file, when the first page of audio is the last as well."""
    data = made("ogg", pcm(frames))
    pages = [match.start() for match in re.finditer(b"OggS", data)]
    kinds = [data[start + 5] & 0x04 for start in pages]
    assert kinds[-1]
    assert not any(kinds[:-1])
    numbers = [struct.unpack_from("<I", data, start + 18)[0] for start in pages]
    assert numbers == list(range(len(pages)))
    granules = [struct.unpack_from("<q", data, start + 6)[0] for start in pages]
    assert granules[-1] == frames
    assert len([granule for granule, start in zip(granules, pages, strict=True) if start > data.index(b"BCV")]) >= 2


def test_a_loop_has_loop_points_tempo_and_key():
    chunks = {chunk.name: chunk.data for chunk in riff.chunks(made("wav"))}
    assert struct.unpack("<6I", chunks[b"smpl"][36:])[2:4] == (0, 20000)
    flags, root, _, _, beats, *meter, bpm = struct.unpack("<IHHfIHHf", chunks[b"acid"])
    assert (flags, root, beats, meter, bpm) == (6, 66, 4, [4, 4], 92.5)


def test_a_pitched_sound_has_its_root_and_no_loop():
    audio = pcm()
    chunks = {chunk.name: chunk.data for chunk in riff.chunks(made("wav", audio, kind="pitched", root="c3", bpm=None))}
    assert struct.unpack("<9I", chunks[b"smpl"])[3] == 48
    assert struct.unpack_from("<9I", chunks[b"smpl"])[7] == 0
    assert struct.unpack("<IHHfIHHf", chunks[b"acid"])[:2] == (3, 48)


def test_a_drum_hit_is_a_one_shot_without_root():
    chunks = {chunk.name: chunk.data for chunk in riff.chunks(made("wav", kind="oneshot", bpm=None, key=None))}
    assert b"smpl" not in chunks
    assert struct.unpack("<IHHfIHHf", chunks[b"acid"])[0] == 1


def test_a_waltz_is_written_as_a_waltz():
    chunks = {chunk.name: chunk.data for chunk in riff.chunks(made("wav", meter="3/4"))}
    assert struct.unpack("<IHHfIHHf", chunks[b"acid"])[5:7] == (4, 3)


def test_the_broadcast_chunk_has_the_document_too():
    chunk = next(chunk for chunk in riff.chunks(made("wav24")) if chunk.name == b"bext")
    first, second = riff.read_history(chunk).splitlines()
    assert first.startswith("A=PCM,F=44100,W=24,M=stereo,T=sample-bridge")
    assert provenance.from_text(second) == document(pcm())
    alone = riff.with_chunks(codecs.encode(pcm(), 44100, "wav24"), [chunk])
    assert tags.read(alone)[1] == document(pcm()), "an editor may keep bext and drop INFO"


@pytest.mark.parametrize("prompt", ["k", "ab", "dusty «break», 92 bpm", "wort " * 90])
@pytest.mark.parametrize("frames", [1000, 1001])
def test_forgetting_leaves_a_master_as_long_as_it_was(prompt, frames):
    audio = pcm(frames, channels=1)
    before = made("wav24", audio, prompt=prompt, spec={"prompt": prompt})
    after = tags.without_prompt(before)
    assert len(after) == len(before)
    assert json.dumps(prompt).encode() not in after
    assert b"INAM" not in after
    behind = after[riff.audio_end(after) :]
    assert len(prompt) < 3 or prompt.encode() not in behind
    assert tags.read(after)[1] == document(audio, prompt="", spec={"prompt": ""})
    assert np.array_equal(soundfile.read(io.BytesIO(after))[0], soundfile.read(io.BytesIO(before))[0])
    assert tags.without_prompt(after) == after


def test_what_has_no_document_is_not_changed_by_forgetting():
    plain = codecs.encode(pcm(), 44100, "wav24")
    other = riff.with_chunks(plain, [riff.info({"ICMT": "my own words"})])
    for data in (plain, other, b"no file at all"):
        assert tags.without_prompt(data) == data


@pytest.mark.parametrize("extension", FORMATS)
def test_a_file_without_tags_has_no_provenance(extension):
    form, found = tags.read(codecs.encode(pcm(), 44100, extension))
    assert form
    assert found is None


@pytest.mark.parametrize("extension", FORMATS)
def test_no_damage_makes_reading_fail(extension):
    data = made(extension, pcm(3000, 1))
    generator = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data[: generator.integers(0, len(data))])
        for place in generator.integers(0, max(1, len(broken)), 8):
            if broken:
                broken[place] = generator.integers(0, 256)
        tags.read(bytes(broken))
    assert tags.read(b"") == ("", None)
    assert tags.read(b"a text file, say") == ("", None)


@pytest.mark.parametrize(
    ("note", "number"),
    [("c4", 60), ("c3", 48), ("f#2", 42), ("fs2", 42), ("bb4", 70), ("a4", 69), ("c", 60), ("f#m", 66), ("am", 69),
     ("c-1", 0), ("b", 71), ("", None), (None, None), ("h2", None), ("c99", None)],
)  # fmt: skip
def test_notes_and_keys_are_midi_numbers(note, number):
    assert tags.midi_of(note) == number
