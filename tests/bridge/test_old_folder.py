"""A data folder of commit 968f128 opens with this version, and nothing in it is lost."""

from __future__ import annotations

from pathlib import Path

from bridge.engines.cloud.spending import Spending
from bridge.errors import BridgeError
from bridge.exchange.stems.ledger import Ledger
from bridge.jobs import State
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from tests import old_folder


async def test_sounds_slots_aliases_tickets_and_accounts_of_an_old_folder_are_there(tmp_path: Path) -> None:
    folder = old_folder.unpack(tmp_path)
    settings = Settings(data_dir=folder, engine="tone", pregenerate=False, undo_seconds=3600)
    async with open_service(settings) as service:
        store = service.library._store
        assert {sound.name: len(sound.slots) for sound in store.sounds()} == old_folder.SOUNDS
        for alias, name in old_folder.ALIASES.items():
            assert (found := store.sound(alias)) is not None
            assert found.name == name
        name, root = old_folder.ROOT
        assert store.sound(name).slots[0].root == root
        assert store.sound(old_folder.PINNED).pinned
        assert store.sound("gen_stab").slots[0].sample_id == store.sound("gen_second_name").slots[0].sample_id
        assert store.verify() == {}
        assert store.restore(old_folder.DELETED).sounds[0].name == old_folder.DELETED
        assert len({slot.sample_id for sound in store.sounds() for slot in sound.slots}) == old_folder.SAMPLES

        unfinished = [(await service.queue.ticket(each)) for each in old_folder.UNFINISHED]
        assert {ticket.state for ticket in unfinished} <= {State.QUEUED, State.RUNNING}
        for each in old_folder.COMPLETED:
            ticket = await service.queue.ticket(each)
            assert ticket.state is State.COMPLETED
            assert store.sample(service.placed(ticket).sample.sample_id) is not None
        failed = await service.queue.ticket(old_folder.FAILED)
        assert failed.state is State.FAILED
        assert isinstance(failed.job.error, BridgeError)
        assert await service.queue.repeated(old_folder.REPEATED) is not None

    ledger = Ledger(folder / "stems.sqlite3")
    rows = {name: ledger.get(name) for name in old_folder.STEMS}
    ledger.close()
    assert {name: row and row.state for name, row in rows.items()} == old_folder.STEMS
    assert rows["stems-callback"].callback == "waiting"
    assert len((folder / "usage.jsonl").read_text().splitlines()) == old_folder.USAGE_LINES
    with Spending(folder)._open() as spending:
        assert spending.execute("SELECT total(cost) FROM spent").fetchone() == (old_folder.SPENT,)
