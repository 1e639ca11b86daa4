"""What a command line asks for: the options of a sound, read into orders."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bridge.sounds.orders import Order, from_validation, generate_order
from prompts import SampleSpec

FIELDS = ("duration", "kind", "bars", "bpm", "key", "seed", "quality_mode")


@dataclass(frozen=True, slots=True)
class Wish:
    """One sound that is asked for, as words, as the body of ``POST /generate``, and as an order."""

    label: str
    """How messages call it."""
    document: Mapping[str, Any]
    order: Order


def add_spec_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a sound is to be; one that is not given stays None, and the words decide."""
    group = parser.add_argument_group("the sound", "what is not given is read from the words")
    group.add_argument("--duration", type=float, metavar="S", help="length in seconds, 0.1 to 120")
    group.add_argument("--kind", metavar="K", help="oneshot, loop, texture, pitched, stem, raw, or auto")
    group.add_argument("--bars", type=int, metavar="N", help="length in bars of four beats, 1 to 64")
    group.add_argument("--bpm", type=float, metavar="B", help="beats per minute, 20 to 400")
    group.add_argument("--key", metavar="K", help='key, such as "C minor", fm or F#')
    group.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same sound")
    group.add_argument(
        "--quality-mode", metavar="Q", help="draft, balanced or high: how exactly a model computes, where it can choose"
    )


def spec_fields(args: argparse.Namespace) -> dict[str, Any]:
    """Collect the fields that were typed, engine and model with them."""
    fields = {name: value for name in FIELDS if (value := getattr(args, name)) is not None}
    if args.engine is not None:
        fields["engine"] = args.engine.strip().lower()
    if args.model is not None:
        # Which weights are open to requests is the server's to say: only the one it was started with.
        fields |= {"engine": fields.get("engine", "musicgen"), "model": args.model}
    return fields


def read_wish(document: Mapping[str, Any], *, aliases: Sequence[str] = ()) -> Wish:
    """Validate the body of a request before anything is started. Raises InvalidRequest that names the field."""
    document = {"kind": "auto", **document}
    try:
        order, _ = generate_order(document)
    except ValidationError as error:
        raise from_validation(error) from None
    order = order.model_copy(update={"aliases": tuple(aliases)})
    return Wish(order.spec.prompt, document, order)


def wish_of_spec(spec: SampleSpec, defaults: Mapping[str, Any], **fields: Any) -> Wish:
    """Ask for a spec of our own lists; ``defaults`` fill what it leaves open."""
    own = spec.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    aliases = fields.pop("aliases", ())
    return read_wish({**defaults, **own, **fields}, aliases=aliases)
