"""Models on Replicate, by plain HTTP: create a prediction, wait or poll, cancel what is not wanted, fetch at once.

Its files are deleted after an hour, and its models may vanish: the model and its version are settings.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.engines.cloud.answers import described, of_document
from bridge.engines.cloud.endpoint import ringing_seconds
from bridge.engines.cloud.http import Answer, Patience, Provider
from bridge.engines.cloud.keys import REPLICATE_API, CloudOptions, filled, options_of, template
from bridge.engines.cloud.spending import Spending
from bridge.errors import PASSING, BadAudio, EngineError, EngineUnavailable
from bridge.plugins.engine import EngineInfo, Report

if TYPE_CHECKING:
    from bridge.plugins.clip import Clip
    from prompts import SampleSpec

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 5
"""How long Replicate holds the answer to a creation; until it comes we do not know what to cancel."""
_POLL_SECONDS: Final = (0.5, 0.5, 1.0, 1.0, 2.0)
"""Between questions; the last one continues."""
_RUNNING: Final = frozenset({"starting", "processing", "queued"})
_ENDED: Final = frozenset({"canceled", "cancelled", "aborted"})
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_INPUT: Final[dict[str, Any]] = {
    "prompt": "$prompt",
    "duration": "$whole_seconds",
    "seed": "$seed",
    "temperature": "$temperature",
    "top_k": "$top_k",
    "top_p": "$top_p",
    "classifier_free_guidance": "$guidance",
    "output_format": "wav",
}
"""What MusicGen takes there."""


class ReplicateEngine:
    """Asks Replicate. ``model``: another model than the one set. Raises EngineUnavailable with what to set."""

    def __init__(
        self,
        model: str | None = None,
        device: str = "auto",
        data_dir: Path | None = None,
        options: CloudOptions | None = None,
    ) -> None:
        del device
        options = options or options_of("replicate")
        model = model or options.model
        if not model or not options.token:
            raise EngineUnavailable(_missing(model, options.token) or "", engine="replicate")
        self._api, self._model, self._patience = options.address or REPLICATE_API, model, options.patience
        self._input = template(options.body, _INPUT, "BRIDGE_REPLICATE_INPUT")
        self._provider = Provider(
            "Replicate", self._api, options.token, setting="BRIDGE_REPLICATE_TOKEN (or REPLICATE_API_TOKEN)"
        )
        self._spending = Spending(data_dir, price=options.price, limit=options.daily_limit)
        self._info = described(
            "replicate",
            sound=f"{model} {options.body}",
            model=model,
            licence="as the model's page on Replicate says",
        )

    @staticmethod
    def missing(model: str | None = None, data_dir: Path | None = None) -> str | None:
        """What has to be set before this engine works, as a sentence; None when nothing is missing."""
        del data_dir
        options = options_of("replicate")
        return _missing(model or options.model, options.token)

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the prediction's audio: 44.1 kHz, one or two channels, as long as the model makes it."""
        patience = Patience(report, self._patience, "Replicate")
        patience.listen()
        given = filled(self._input, spec, seconds if seconds is not None else ringing_seconds(spec))
        with self._spending.charge("replicate", spec) as charge:
            created = self._created(given, patience)
            with self._provider.answered():
                prediction = self._settled(created, patience)
                metrics = prediction.get("metrics")
                took = metrics.get("predict_time") if isinstance(metrics, dict) else None
                if isinstance(took, (int, float)) and 0 <= took < 86400:
                    charge.seconds = float(took)
                clip = self._clip(prediction, patience)
        report(1.0)
        yield clip

    def _created(self, given: Any, patience: Patience) -> dict[str, Any]:
        owner, _, version = self._model.rpartition(":")
        if version and "/" not in version:  # owner/name:version, or a version alone
            url, document = f"{self._api}/predictions", {"version": version, "input": given}
        else:
            url, document = f"{self._api}/models/{owner or self._model}/predictions", {"input": given}
        headers = {"Prefer": f"wait={WAIT_SECONDS}", "Cancel-After": f"{max(30, round(patience.left))}s"}
        answer = self._provider.ask(
            "POST", url, patience, document=document, headers=headers, on_abandoned=self._cancel_answered
        )
        return _prediction(answer)

    def _settled(self, prediction: dict[str, Any], patience: Patience) -> dict[str, Any]:
        """Ask until the prediction has ended well. One that no job waits for any more is cancelled there."""
        address, polls = self._address_of(prediction), 0
        try:
            while (status := prediction.get("status")) != "succeeded":
                if status == "failed":
                    raise EngineError(f"Replicate could not make it: {self._why(prediction)}.")
                if status in _ENDED:
                    raise EngineError("Somebody cancelled this prediction at Replicate. Ask again.")
                if status not in _RUNNING:
                    raise EngineError(f"Replicate says the prediction is '{str(status)[:40]}', which is unknown.")
                patience.sleep(_POLL_SECONDS[min(polls, len(_POLL_SECONDS) - 1)])
                polls += 1
                prediction = self._asked(address, patience) or prediction
        except BaseException:
            if prediction.get("status") in _RUNNING:
                self._provider.tell("POST", f"{address}/cancel")
            raise
        return prediction

    def _asked(self, address: str, patience: Patience) -> dict[str, Any] | None:
        """What the prediction is now; None when Replicate could not be asked: it works on, and is asked again."""
        try:
            return _prediction(self._provider.ask("GET", address, patience))
        except EngineError as error:
            if error.code not in PASSING and error.code != "provider_busy":
                raise
            logger.warning("%s The prediction continues.", error.message)
            return None

    def _clip(self, prediction: dict[str, Any], patience: Patience) -> Clip:
        output = prediction.get("output")
        if not output:
            raise BadAudio("Replicate says it succeeded, but sent no output. Try again.")
        if prediction.get("data_removed") is True:
            raise BadAudio("Replicate has removed the audio already. Ask again.")
        return of_document({"output": output}, "Replicate", lambda url: self._provider.fetch(url, patience))

    def _address_of(self, prediction: dict[str, Any]) -> str:
        """Built from the id: an address that an answer names might lead our token astray."""
        number = prediction.get("id")
        if not isinstance(number, str) or not _ID.fullmatch(number):
            raise EngineError("Replicate answered a prediction without an id. Try again.")
        return f"{self._api}/predictions/{number}"

    def _cancel_answered(self, answer: Answer) -> None:
        self._provider.tell("POST", f"{self._address_of(_prediction(answer))}/cancel")

    def _why(self, prediction: dict[str, Any]) -> str:
        said = prediction.get("error") or prediction.get("logs")
        if not isinstance(said, str) or not said.strip():
            return "it does not say why"
        return self._provider.quoted(said).rstrip(".")


def _prediction(answer: Answer) -> dict[str, Any]:
    try:
        document = answer.json()
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise EngineError("Replicate answered something that is not a prediction. Try again later.")
    return document


def _missing(model: str | None, token: str | None) -> str | None:
    lacks = []
    if not token:
        lacks.append("BRIDGE_REPLICATE_TOKEN (or REPLICATE_API_TOKEN) to your token")
    if not model:
        lacks.append("BRIDGE_REPLICATE_MODEL to a model, such as owner/name:version")
    return f"Set {' and '.join(lacks)}." if lacks else None
