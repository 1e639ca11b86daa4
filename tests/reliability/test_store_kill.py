"""A process that writes to the store is killed at random moments; nothing may be lost, torn or left over."""

import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import diskcache
import pytest

import cache
from cache import PlainDisk, SampleStore, sound_data
from tests.reliability.results import note

KILLS = 50 if os.environ.get("RELIABILITY") == "full" else 5
LIMIT = 60 * 30_000

# Prints "<seq> <type> <sound>" for every event, after the call that made it came back.
WRITER = """
import hashlib, random, sys
from pathlib import Path
from cache import NewSample, SampleStore, StoreError, Target

folder, seed, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
dice = random.Random(seed)
store = SampleStore.open(folder, masters_limit=limit)
print("open", flush=True)

def published():
    spec = hashlib.sha256(dice.randbytes(8)).hexdigest()
    sample_id = hashlib.sha256(spec.encode()).hexdigest()
    audio = sample_id.encode() * dice.randint(10, 900)
    files = {}
    for name in ("master", "wav"):
        files[name] = store.incoming / f"{sample_id}.{name}"
        files[name].write_bytes(audio)
    new = NewSample(sample_id, spec, files["master"], 44100, 1, len(audio), {"kind": "loop"}, {"wav": files["wav"]})
    name = f"gen_{dice.randint(0, 20)}"
    standin = dice.random() < 0.3
    n = dice.choice([None, 0, 1])
    done = store.publish(new, [Target(name, n=n, standin=standin, terms={name: 1.0})], job={"job_id": spec})
    store.deliver(sample_id, "flac", audio)
    return done

def one_change():
    name = f"gen_{dice.randint(0, 20)}"
    what = dice.random()
    if what < 0.7:
        return published()
    if what < 0.78:
        return store.rename(name, f"gen_{dice.randint(0, 20)}")
    if what < 0.86:
        return store.delete(name)
    if what < 0.9:
        return store.restore(name)
    return store.evict()

while True:
    try:
        done = one_change()
    except StoreError as error:
        if error.code not in ("unknown_sound", "name_taken"):
            raise
        continue
    for event in done.events if done else ():
        print(event.seq, event.type, event.data["name"], flush=True)
"""


def write_until_killed(folder: Path, seed: int) -> list[tuple[int, str, str]]:
    """Return the events that the writer had told of when it was killed."""
    dice = random.Random(seed)
    root = Path(cache.__file__).parent.parent
    command = [sys.executable, "-c", WRITER, str(folder), str(seed), str(LIMIT)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}, text=True
    ) as writer:
        lines = [writer.stdout.readline() for _ in range(dice.randint(1, 60))]
        # Somewhere within the next few changes.
        with suppress(subprocess.TimeoutExpired):
            writer.wait(dice.uniform(0, 0.02))
        assert writer.poll() is None, "the writer ended by itself"
        writer.kill()
        lines += writer.stdout.readlines()
    assert lines[0] == "open\n"
    whole = (line.split() for line in lines[1:] if line.endswith("\n"))
    return [(int(seq), kind, name) for seq, kind, name in whole]


def replayed(events) -> dict[str, dict]:
    """The sounds as somebody sees them who knows the events alone."""
    sounds = {}
    for event in events:
        if event.type == "sound":
            sounds[event.data["name"]] = event.data
        elif event.type == "sound_removed":
            del sounds[event.data["name"]]
    return sounds


@pytest.mark.reliability
@pytest.mark.timeout(600)
def test_a_killed_writer_loses_nothing_and_leaves_nothing(tmp_path):
    folder = tmp_path / "data"
    seed = random.randrange(2**32)
    print(f"seed {seed}, {KILLS} kills")
    told: list[tuple[int, str, str]] = []
    for kill in range(KILLS):
        told += write_until_killed(folder, seed + kill)
        with SampleStore.open(folder, masters_limit=LIMIT) as store:
            assert list(store.incoming.iterdir()) == []
            events = store.events_since(0)
            kept = [(event.seq, event.type, event.data["name"]) for event in events]
            assert [seq for seq, _, _ in kept] == list(range(1, store.head() + 1))
            assert set(told) <= set(kept), "an event that was told is lost"
            assert replayed(events) == {sound.name: sound_data(sound) for sound in store.sounds()}

            store.sweep()
            assert store.verify() == {}
            for sound in store.sounds():
                assert all(store.take(slot.spec_id) is not None for slot in sound.slots)
            with store._db.read() as con:
                rows = {f"{row[0]}.wav" for row in con.execute("SELECT id FROM samples")}
            assert {file.name for file in folder.glob("masters/*/*")} == rows
            delivered = list(folder.glob("deliveries/*/*"))
            assert all(file.read_bytes() == store.master(file.stem).read_bytes() for file in delivered)
            with diskcache.Cache(str(folder / "deliveries"), disk=PlainDisk) as deliveries:
                assert {file.name for file in delivered} == set(deliveries)
            assert store.sweep() == 0
    note("kill -9 of a process that writes to the store", f"{KILLS} kills, {len(told)} events told, none lost or torn, "
         f"no file without a row. Seeds from {seed}.")  # fmt: skip
