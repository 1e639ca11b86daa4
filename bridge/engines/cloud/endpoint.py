"""Any web address that makes sounds: a Hugging Face Inference Endpoint, a machine in the next room, a model server.

It gets a POST with JSON and answers audio, or JSON with audio somewhere in it (``_answers.py`` knows the ways).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bridge.engines.cloud.answers import clip_of, described
from bridge.engines.cloud.http import Patience, Provider
from bridge.engines.cloud.keys import CloudOptions, filled, options_of, template
from bridge.engines.cloud.spending import Spending
from bridge.errors import EngineUnavailable
from bridge.plugins.engine import EngineInfo, Report
from prompts import Kind, SampleSpec

if TYPE_CHECKING:
    from bridge.plugins.clip import Clip

RINGING_SECONDS: Final = 4.0
"""Asked for when the instrument may ring as long as it likes; finishing cuts off what is silent."""
_TOKENS_PER_SECOND: Final = 50
_CLOSED: Final = frozenset({"api-inference.huggingface.co", "router.huggingface.co"})
_BODY: Final[dict[str, Any]] = {
    "inputs": "$prompt",
    "parameters": {
        "do_sample": True,
        "temperature": "$temperature",
        "top_k": "$top_k",
        "guidance_scale": "$guidance",
    },
}
"""What a MusicGen behind a Hugging Face endpoint takes, with ``max_new_tokens`` added."""


class EndpointEngine:
    """Asks ``BRIDGE_ENDPOINT_URL``. ``model``: another address. Raises EngineUnavailable with what to set."""

    def __init__(
        self,
        model: str | None = None,
        device: str = "auto",
        data_dir: Path | None = None,
        options: CloudOptions | None = None,
    ) -> None:
        del device
        options = options or options_of("endpoint")
        address = model or options.address
        if not address:
            raise EngineUnavailable(self.missing() or "", engine="endpoint")
        host = urlsplit(address).hostname or ""
        if host in _CLOSED:
            raise EngineUnavailable(
                f"{host} does not make music. Deploy the model as an Inference Endpoint of your own, and set "
                "BRIDGE_ENDPOINT_URL to its address.",
                engine="endpoint",
            )
        self._address, self._patience = address, options.patience
        self._body = template(options.body, _BODY, "BRIDGE_ENDPOINT_BODY")
        self._own_body = options.body is not None
        self._provider = Provider(
            f"The endpoint {host}", address, options.token, setting="BRIDGE_HF_TOKEN (or HUGGINGFACE_API_KEY)"
        )
        # Without https it is a machine of one's own.
        price = options.price if address.lower().startswith("https:") else 0.0
        self._spending = Spending(data_dir, price=price, limit=options.daily_limit)
        self._info = described(
            "endpoint", sound=f"{address} {options.body}", model=host, licence="as the endpoint's model says"
        )

    @staticmethod
    def missing(model: str | None = None, data_dir: Path | None = None) -> str | None:
        """What has to be set before this engine works, as a sentence; None when nothing is missing."""
        del data_dir
        if model or options_of("endpoint").address:
            return None
        return "Set BRIDGE_ENDPOINT_URL to the address that makes the sounds."

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield what the endpoint answers: 44.1 kHz, one or two channels, as long as the endpoint makes it."""
        patience = Patience(report, self._patience, self._provider.name)
        patience.listen()
        wanted = seconds if seconds is not None else ringing_seconds(spec)
        document = filled(self._body, spec, wanted)
        if not self._own_body:
            document["parameters"]["max_new_tokens"] = math.ceil(wanted * _TOKENS_PER_SECOND)
        with self._spending.charge("endpoint", spec):
            answer = self._provider.ask("POST", self._address, patience, document=document)
            with self._provider.answered():
                clip = clip_of(answer, self._provider.name, lambda url: self._provider.fetch(url, patience))
        report(1.0)
        yield clip


def ringing_seconds(spec: SampleSpec) -> float:
    """How much a provider is asked for when the spec leaves the length to the instrument."""
    return RINGING_SECONDS if spec.kind in {Kind.ONESHOT, Kind.PITCHED} else 2 * RINGING_SECONDS
