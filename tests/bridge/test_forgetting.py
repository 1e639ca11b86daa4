"""A forgotten word stands nowhere in the data folder any more, whichever file kept it."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge import forgetting
from bridge.app import create_app
from bridge.errors import DiskFailed
from bridge.exchange.stems.ledger import Ledger
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService
from bridge.system.ledgers import JOURNAL, STEMS, USAGE, put_aside
from tests.servers import until

WORD = "xylophonist"


def found(folder: Path) -> list[str]:
    """Files of the folder in which the word stands, read byte for byte."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and WORD.encode() in path.read_bytes().lower()
    )


async def test_a_forgotten_word_is_gone_from_every_file(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine="tone", pregenerate=False, usage_prompts=True, prompts_in_files=True)
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        for number, name in enumerate(("gen_stays", "gen_goes")):
            body = {"prompt": f"tone {WORD} {number}", "duration": 0.1, "name": name, "session": "s"}
            assert (await client.post("/generate", json=body, headers={"Idempotency-Key": name})).status == 200
            assert (await client.get(f"/sounds/{name}?format=flac")).status == 200
            written = {"name": f"tone {WORD} {number}", "code": f"generateMusic('tone {WORD} {number}')", "base": 0}
            assert (await client.put(f"/sets/{number:016}", json=written)).status == 200
        assert (await client.delete("/sets/0000000000000001")).status == 200
        assert (await client.delete("/sounds/gen_goes")).status == 200
        await until(lambda: (tmp_path / USAGE).exists() and len((tmp_path / USAGE).read_text().splitlines()) == 2)
        ledger = Ledger(tmp_path / STEMS)
        ledger.accept("one", "digest", {"parameters": {"prompt": WORD}, "callback_url": None}, "http://h", 1.0)
        ledger.finish("one", "completed", {"generated": [], "parameters": {"prompt": WORD}}, 2.0, callback=False)
        ledger.close()
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        for name in (JOURNAL, STEMS, USAGE):  # as if each had been damaged and set aside
            whole = (tmp_path / name).read_bytes()
            place = put_aside(tmp_path / name)
            place.rename(tmp_path / f"{name}.damaged-20261130T191300Z")
            (tmp_path / name).write_bytes(whole)
        master = next((tmp_path / "masters").rglob("*.wav"))
        planted = [
            *(f"{name}.damaged-20261130T191300Z" for name in ("engines.json", "spending.sqlite3", "what.ever")),
            "jobs.sqlite3.damaged-20251130T191300Z-wal",
            "catalogue.sqlite3.damaged-20251130T191300Z-wal",
            "copies.damaged-20261130T191300Z/a/000001-20261130T191300Z.sqlite3",
            "trash/20261130T200000Z/x.wav",
            "trash/loose.wav",
            "trash/2026-11-30/a/b",
            f"masters/zz/{master.name}",
        ]
        for place in planted:
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_bytes(master.read_bytes() if place.endswith(".wav") else WORD.encode())
        there = found(tmp_path)
        assert set(planted) <= set(there)
        assert {"catalogue.sqlite3", JOURNAL, STEMS, USAGE} <= {name.partition(".damaged")[0] for name in there}
        assert {f"sets/{number:016}/000001.set" for number in range(2)} <= set(there)
        assert any("copies" in name for name in there), "the clean stop has copied the catalogue"
        await forgetting.forget(service)
        assert found(tmp_path) == []
        assert (await client.get("/sounds/gen_stays")).status == 200, "the sound stays"
    assert found(tmp_path) == [], "and stopping writes none of it again"


async def test_what_is_registered_is_told_whose_words_and_one_that_fails_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "_KEEPERS", dict(forgetting._KEEPERS))
    told: list[forgetting.Words] = []

    async def fails(_: SampleService, words: forgetting.Words) -> None:
        raise DiskFailed("The disk is read-only.")

    async def listens(_: SampleService, words: forgetting.Words) -> None:
        told.append(words)

    before = forgetting.keepers()
    forgetting.register("a thing that fails", fails)
    forgetting.register("a thing that listens", listens)
    assert forgetting.keepers() == (*before, "a thing that fails", "a thing that listens")
    settings = Settings(data_dir=tmp_path, engine="tone", pregenerate=False)
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        body = {"prompt": f"tone {WORD}", "duration": 0.1, "name": "gen_x"}
        assert (await client.post("/generate", json=body)).status == 200
        with pytest.raises(DiskFailed, match="read-only"):
            await forgetting.forget(service, "gen_x")
    (words,) = told
    assert words.names == {"gen_x", "musicgen_x"}
    assert words.prompts == {f"tone {WORD}"}
    assert len(words.spec_ids) == len(words.sample_ids) == 1
