"""Messages to browsers, held against the golden files that the page's tests read, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NotRequired, get_origin, get_type_hints

import pytest

from bridge import events
from bridge.audio.facts import SampleFacts

GOLDEN = Path(__file__).parents[1] / "protocol"


def golden(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def snapshot(message: dict[str, Any]) -> dict[str, Any]:
    """What the catalogue would have to hold for ``message`` to be sent."""
    urls = message["urls"]
    pairs = urls.items() if isinstance(urls, dict) else ((None, url) for url in urls)
    slots = [
        {"sample_id": url.split("/")[-1].removesuffix(".wav"), "standin": False, "root": note} for note, url in pairs
    ]
    return {
        **{name: message[name] for name in ("name", "aliases", "n", "standin", "revision", "session")},
        "slots": slots,
        "facts": {name: value for name, value in message.items() if name not in ("seq", "name", "urls", "strudel")},
    }


@pytest.mark.parametrize("name", ["sound", "sound_standin"])
def test_a_sound_message_is_built_from_the_catalogue_to_the_last_key(name):
    wanted = golden(name)
    assert events.wire_event("sound", wanted["seq"], snapshot(wanted)) == {
        **wanted,
        "strudel": events.strudel_code(wanted["name"], wanted["n"], SampleFacts.of(wanted)),
    }


def test_a_pitched_sound_lists_its_urls_by_note():
    wanted = golden("sound_pitched")
    message = events.wire_event("sound", wanted["seq"], snapshot(wanted))
    assert message["urls"] == wanted["urls"]
    assert message.keys() == wanted.keys()


def test_a_removed_sound_tells_its_name_and_nothing_of_how_we_keep_it():
    data = {"name": "gen_dusty_break", "aliases": ["musicgen_dusty_break"], "why": "renamed", "renamed_to": "break"}
    assert events.wire_event("sound_removed", 45, data) == golden("sound_removed")


def test_a_job_that_ended_is_what_was_logged_with_its_number():
    wanted = golden("job_ended")
    logged = {name: value for name, value in wanted.items() if name != "seq"}
    assert events.wire_event("job", wanted["seq"], logged) == wanted


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (events.SoundMessage, ["sound", "sound_pitched", "sound_standin"]),
        (events.SoundRemovedMessage, ["sound_removed"]),
        (events.JobMessage, ["job_ended", "job_progress"]),
        (events.HeadMessage, ["head"]),
        (events.SessionMessage, ["session"]),
        (events.HelloReply, ["hello_reply_events", "hello_reply_reset"]),
        (events.GenerateReply, ["generate_reply", "generate_reply_nearest"]),
    ],
)
def test_every_type_has_the_keys_of_its_golden_files(kind, names):
    hints = get_type_hints(kind, include_extras=True)
    required = {key for key, hint in hints.items() if get_origin(hint) is not NotRequired}
    for name in names:
        assert required <= set(golden(name)) <= set(hints), name
    together = set().union(*(golden(name) for name in names))
    assert together == set(hints), "each key stands in some golden file"


@pytest.mark.parametrize(
    ("roots", "urls"),
    [
        ([None, None], ["0", "1"]),
        (["c3", "g3"], {"c3": "0", "g3": "1"}),
        (["c3", "c3"], {"c3": ["0", "1"]}),
        (["c3", "g3", "c3"], {"c3": ["0", "2"], "g3": "1"}),
        (["c3", None], ["0", "1"]),
        ([], []),
    ],
)
def test_pitched_slots_are_published_by_their_roots(roots, urls):
    assert events.by_root([(root, str(n)) for n, root in enumerate(roots)]) == urls


def test_the_code_of_a_pitched_slot_counts_the_slots_of_its_root():
    slots = [{"sample_id": str(n), "standin": False, "root": root} for n, root in enumerate(["c3", "g3", "c3"])]
    facts = {name: golden("sound_pitched")[name] for name in ("kind", "seconds", "prompt", "engine", "licence")}
    snapshot = {"name": "piano", "aliases": [], "standin": False, "revision": 3, "slots": slots}
    codes = [
        events.sound_message(1, {**snapshot, "n": n, "facts": {**facts, "commercial": True, "root": root}})["strudel"]
        for n, root in enumerate(["c3", "g3", "c3"])
    ]
    assert codes == ['note("c3").s("piano")', 'note("g3").s("piano")', 'note("c3").s("piano:1")']


@pytest.mark.parametrize(
    ("n", "facts", "code"),
    [
        (0, {"seconds": 0.4}, 's("kick")'),
        (2, {"seconds": 0.4}, 's("kick:2")'),
        (0, {"seconds": 5.217, "bars": 2, "bpm": 92}, 's("kick").loopAt(2)'),
        (1, {"seconds": 5.217, "bars": 2, "bpm": 92}, 's("kick:1").loopAt(2)'),
        (0, {"seconds": 8.0}, 's("kick").slow(4)'),
        (0, {"seconds": 8.1}, 's("kick").slow(5)'),
        (0, {"seconds": 2.0}, 's("kick")'),
        (0, {"seconds": 2.5, "root": "c3"}, 'note("c3").s("kick")'),
        (1, {"seconds": 2.5, "root": "c3"}, 'note("c3").s("kick:1")'),
        (0, {"seconds": 3.0, "bars": 2, "beats": 6.0, "bpm": 120}, 's("kick").loopAt(1.5)'),
    ],
)
def test_the_code_plays_a_slot_as_its_kind_wants_to_be_played(n, facts, code):
    assert events.strudel_code("kick", n, SampleFacts.of(facts)) == code
