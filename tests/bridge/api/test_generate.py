"""Contract A's calls, and the tasks that B shares."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import soundfile


def decode(audio_base64: str) -> tuple[np.ndarray, int]:
    return soundfile.read(io.BytesIO(base64.b64decode(audio_base64)), always_2d=True)


async def test_generate_answers_contract_as_six_fields_and_where_the_sound_is(client) -> None:
    response = await client.post("/generate", json={"prompt": "tone 440 hz", "duration": 1.5})
    assert response.status == 200
    answer = await response.json()
    assert answer["success"] is True
    assert answer["prompt"] == "tone 440 hz"
    assert answer["duration"] == 1.5
    assert answer["sampling_rate"] == 44100
    assert answer["audio_base64"].startswith("UklGR")
    assert answer["generation_time"] >= 0
    assert (answer["name"], answer["n"], answer["status"]) == ("gen_tone_440_hz", 0, "completed")
    assert answer["strudel"] == 's("gen_tone_440_hz")'
    audio, rate = decode(answer["audio_base64"])
    assert (rate, len(audio)) == (44100, 66150)
    spectrum = np.abs(np.fft.rfft(audio[:, 0]))
    assert spectrum.argmax() * rate / len(audio) == pytest.approx(440, abs=1)
    kept = await client.get(answer["audio_url"])
    assert await kept.read() == base64.b64decode(answer["audio_base64"])


async def test_the_same_words_are_answered_from_the_cache(client) -> None:
    body = {"prompt": "tone 300 hz", "duration": 0.5}
    first = await (await client.post("/generate", json=body)).json()
    again = await (await client.post("/generate", json={**body, "duration": 0.50, "unknown_field": 1})).json()
    assert (first["cached"], again["cached"]) == (False, True)
    assert again["audio_base64"] == first["audio_base64"]
    assert (again["name"], again["n"]) == (first["name"], first["n"])
    assert again["task_id"] != first["task_id"]


async def test_fresh_makes_another_slot(client) -> None:
    body = {"prompt": "tone 300 hz", "duration": 0.5}
    await client.post("/generate", json=body)
    fresh = await (await client.post("/generate", json={**body, "fresh": True})).json()
    assert (fresh["n"], fresh["cached"]) == (1, False)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
async def test_a_file_format_answers_the_audio_with_its_facts_in_headers(client, extension: str) -> None:
    response = await client.post("/generate", json={"prompt": "tone 250 hz", "duration": 0.7, "format": extension})
    assert response.status == 200
    assert response.headers["X-Bridge-Name"] == "gen_tone_250_hz"
    assert response.headers["X-Bridge-Duration"] == "0.7"
    assert response.content_type == {"mp3": "audio/mpeg"}.get(extension, f"audio/{extension}")
    audio, rate = soundfile.read(io.BytesIO(await response.read()))
    assert (len(audio), rate) == (30870, 44100)


async def test_accept_counts_only_when_it_names_an_audio_type(client) -> None:
    body = {"prompt": "tone 250 hz", "duration": 0.2}
    audio = await client.post("/generate", json=body, headers={"Accept": "audio/flac, */*"})
    assert audio.content_type == "audio/flac"
    other = await client.post("/generate", json=body, headers={"Accept": "*/*"})
    assert other.content_type == "application/json"
    wins = await client.post("/generate", json={**body, "format": "wav"}, headers={"Accept": "audio/flac"})
    assert wins.content_type == "audio/wav"


async def test_null_means_absent_and_bodies_may_use_the_other_contracts_names(client) -> None:
    response = await client.post(
        "/generate", json={"prompt": "tone", "duration_seconds": 0.4, "duration": None, "random_seed": 7, "bpm": None}
    )
    answer = await response.json()
    assert (answer["duration"], answer["seed"]) == (0.4, 7)


async def test_genre_and_mood_go_into_the_prompt(client) -> None:
    response = await client.post(
        "/generate", json={"prompt": "tone", "duration": 0.2, "genre": "house", "mood": "dark"}
    )
    prompt = (await response.json())["prompt"]
    assert all(word in prompt for word in ("tone", "house", "dark"))


async def test_kind_makes_a_finished_sample(client) -> None:
    body = {"prompt": "tone 220 hz", "kind": "loop", "bpm": 174, "bars": 4}
    answer = await (await client.post("/generate", json=body)).json()
    audio, rate = decode(answer["audio_base64"])
    assert len(audio) == round(rate * 4 * 240 / 174)
    assert answer["strudel"] == 's("gen_tone_220_hz").loopAt(4)'


async def test_a_stem_is_registered_in_its_list_and_alone(client) -> None:
    body = {"type": "voice", "style": "angelic choir", "key": "C minor", "bpm": 90, "duration": 1}
    first = await (await client.post("/generate_stem", json=body)).json()
    second = await (await client.post("/generate_stem", json={**body, "style": "low monks"})).json()
    assert (first["name"], first["n"], first["kind"], first["duration"]) == ("musicgen_voice", 0, "stem", 1.0)
    assert (second["name"], second["n"]) == ("musicgen_voice", 1)
    assert "angelic choir" in first["prompt"]
    listed = await (await client.get("/sounds/musicgen_voice?format=json")).json()
    alone = await (await client.get("/sounds/musicgen_voice_2?format=json")).json()
    assert alone["urls"] == [listed["urls"][1]]
    names = await (await client.get("/strudel.json")).json()
    assert {"musicgen_voice", "musicgen_voice_1", "musicgen_voice_2"} <= names.keys()


async def test_respond_async_answers_the_task_at_once(client, service) -> None:
    response = await client.post(
        "/generate", json={"prompt": "tone 500 hz", "duration": 0.3}, headers={"Prefer": "respond-async"}
    )
    assert response.status == 202
    assert response.headers["Preference-Applied"] == "respond-async"
    task = await response.json()
    assert task["task_id"].startswith("gen_")
    assert response.headers["Location"] == f"/generate/{task['task_id']}"
    await service.queue.wait(task["task_id"])
    done = await (await client.get(f"/generate/{task['task_id']}")).json()
    assert (done["status"], done["progress"], done["duration"]) == ("completed", 1.0, 0.3)
    listed = await (await client.get(f"/sounds/{done['name']}?format=json")).json()
    assert (done["sample_id"], done["facts"]) == (listed["samples"][0]["sample_id"], listed["samples"][0]["facts"])
    assert done["cached"] is False
    audio = await client.get(done["audio_url"])
    assert (audio.status, audio.content_type) == (200, "audio/wav")


async def test_a_download_before_the_end_is_a_409_and_an_unknown_task_a_404(client) -> None:
    body = {"prompt": "tone slow", "duration": 2, "wait": False}
    task = await (await client.post("/generate", json=body)).json()
    early = await client.get(f"/download/{task['task_id']}")
    assert (early.status, (await early.json())["error"]["code"]) == (409, "not_ready")
    unknown = await client.get("/generate/gen_000000000000")
    assert (unknown.status, (await unknown.json())["error"]["code"]) == (404, "unknown_job")


async def test_a_caller_that_hangs_up_does_not_cancel(client, service) -> None:
    task = await (await client.post("/generate", json={"prompt": "tone 600 hz", "duration": 0.4, "wait": False})).json()
    assert (await service.queue.wait(task["task_id"])).state == "completed"


async def test_an_idempotency_key_makes_a_repeated_post_harmless(client) -> None:
    body = {"prompt": "tone 610 hz", "duration": 0.2, "fresh": True}
    headers = {"Idempotency-Key": "one-wish"}
    first = await (await client.post("/generate", json=body, headers=headers)).json()
    again = await (await client.post("/generate", json=body, headers=headers)).json()
    assert (again["task_id"], again["n"], again["seed"]) == (first["task_id"], 0, first["seed"])
    other = await client.post("/generate", json={**body, "duration": 0.3}, headers=headers)
    assert (other.status, (await other.json())["error"]["code"]) == (422, "idempotency_mismatch")
    without = await (await client.post("/generate", json=body)).json()
    assert without["n"] == 1
