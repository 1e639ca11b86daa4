"""What each route takes and answers, next to ``routes``; ``openapi`` makes the API's description of it.

A route that is in neither table below fails a test.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.api import daw, evaluate, sets, similar, sounds
from bridge.api.description import shapes
from bridge.api.description.operation import Body, Operation, Parameter, Response, Schema
from bridge.api.forget import ForgetBody
from bridge.api.session import PageSession, SessionKeyBody
from bridge.audio.formats import FORMATS, PEAKS, content_type
from bridge.exchange.job_status import JobStatus
from bridge.exchange.likeness import SimilarBody
from bridge.exchange.stems import StemRequest
from bridge.jobs import State
from bridge.sets import MOST_CODE_BYTES
from bridge.sounds.orders import GenerateBody, StemBody
from prompts import Kind

_TEXT: Schema = {"type": "string"}
_AUDIO = tuple(dict.fromkeys(each.content_type for each in FORMATS.values()))
_FILES = (*_AUDIO, content_type(PEAKS))
_FILE_NAME = r"^[0-9a-f]{16,64}\.(wav|24\.wav|flac|ogg|mp3|peaks)$"
_OUTLINE = "`.peaks`: 360 pairs of signed bytes, the lowest and the highest value of each part; 127 is full scale"
_ID: Schema = {"type": "string", "pattern": "^gen_[0-9a-f]{12}$"}
_MAKING = (409, 502, 503, 504, 507)
"""What can go wrong while a sound is made."""
_FETCHING = (404, 409, 422, 502, 503, 504, 507)
_BPM: Schema = {"type": "integer", "minimum": 20, "maximum": 400}

_REFINE: Mapping[str, Schema] = {
    "tempo": {"anyOf": [{"type": "number", "minimum": 60, "maximum": 200}]},
    "name": {"anyOf": [{"type": "string", "pattern": "^[A-Za-z0-9_]{1,64}$"}]},
    "chords": {"anyOf": [{"type": "array", "items": _TEXT, "maxItems": 32}, {"type": "string"}]},
    "chord_progression": {"anyOf": [{"type": "array", "items": _TEXT, "maxItems": 32}, {"type": "string"}]},
    "effects": {"anyOf": [{"type": "array", "items": _TEXT}, {"type": "string"}]},
    # "auto" lets the words decide
    "kind": {"anyOf": [{"type": "string", "enum": [*Kind, "auto"]}]},
}
_STEM_REFINE = {**_REFINE, "bars": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 64}]}}
_GENERATE = Body(GenerateBody, with_spec=True, refine=_REFINE)
_STEM = Body(StemBody, with_spec=True, refine=_STEM_REFINE)

_ONCE = Parameter(
    "Idempotency-Key", {"type": "string", "maxLength": 200}, "A repeated request is answered the same.", "header"
)
_PREFER = Parameter("Prefer", {"type": "string"}, "`respond-async` answers 202 at once.", "header")
_CONFIRMED = Parameter(
    "X-Confirmation", _TEXT, "From a page: the token that the frame of `error.confirm` gave after a yes.", "header"
)
_FORMAT = Parameter("format", {"type": "string", "enum": ["base64", *FORMATS]}, "Takes precedence over Accept.")
_LICENCE = Parameter("licence", _TEXT, "`commercial`, or a licence by its SPDX name.")
_SET = Parameter("id", {"type": "string", "pattern": "^[0-9a-f]{16}$"}, "Chosen by whoever starts the set.", "path")
_KEYWORD = Parameter("keyword", _TEXT, "A sound's name, or words.", "path")

_SOUND = {
    200: Response("The sound: JSON with the audio in base64, or the audio itself", shapes.SoundAnswer, _AUDIO),
    202: Response("Taken in: ask the task", shapes.Task),
}
_SOUND_OR_STEMS = {
    **_SOUND,
    200: Response(
        "The sound: JSON with the audio in base64, or the audio itself. With `target_stems`: the stems are promised",
        shapes.SoundAnswer | shapes.StemsAccepted,
        _AUDIO,
    ),
}
_WAV = ("audio/wav",)
_HAD = Response("You have it")
_UPLOADED = Parameter("audio_id", {"type": "string", "pattern": "^[0-9a-f]{32}$"}, "What the upload answered.", "path")
_UPLOAD: Schema = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "WAV, MP3, FLAC or Ogg"},
    },
    "required": ["file"],
}
_EVALUATED: Schema = {
    "type": "object",
    "properties": {
        "file": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "maxItems": evaluate.MOST_FILES,
            "description": "WAV, MP3, FLAC or Ogg",
        },
        "sound": {"type": "string", "description": "Instead: a kept sound's name"},
        "n": {"type": "integer", "minimum": 0, "description": "Its slot"},
        "prompt": {"type": "string", "description": "What it was to be"},
    },
}
_ANY_JOB = Parameter("task_id", _TEXT, "What the starting call answered, or a `generation_request_id`.", "path")
_FILE = {200: Response("The audio", shapes.SoundAnswer, _AUDIO), 206: Response("The part asked for", media=_AUDIO)}


def _job(name: str) -> Parameter:
    return Parameter(name, _ID, "What the starting call answered.", "path")


_FILTERS = (
    Parameter("kind", {"type": "string", "enum": [*Kind]}),
    Parameter("engine", _TEXT),
    Parameter("session", _TEXT),
    Parameter("bpm", _BPM),
    Parameter("key", _TEXT, "`C minor`, `fm`, `F#`"),
    _LICENCE,
)

OPERATIONS: Mapping[tuple[str, str], Operation] = {
    # ---------------------------------------------------------------- making sounds
    ("POST", "/generate"): Operation(
        "making", _SOUND_OR_STEMS, _MAKING, (_ONCE, _PREFER), (_GENERATE, Body(StemRequest))
    ),
    ("POST", "/generate_stem"): Operation("making", _SOUND, _MAKING, (_ONCE, _PREFER), (_STEM,)),
    ("GET", "/generate/{task_id}"): Operation(
        "making", {200: Response("The task, or the stems", shapes.Task | shapes.StemsDocument)}, (404, 503), (_ANY_JOB,)
    ),
    ("GET", "/download/{task_id}"): Operation("making", _FILE, (*_FETCHING, 416), (_job("task_id"), _FORMAT)),
    ("GET", "/stems/{request}/{file}"): Operation(
        "making",
        {200: Response("The stem", media=_WAV), 206: Response("The part asked for", media=_WAV), 304: _HAD},
        (404, 416),
        (Parameter("request", _TEXT, "", "path"), Parameter("file", _TEXT, "What `blob_url` says.", "path")),
    ),
    ("POST", "/evaluate"): Operation(
        "making",
        {200: Response("Figures, the mean and each", evaluate.Evaluation)},
        (404, 503, 507),
        bodies=(Body(evaluate.EvaluateBody),),
        form=_EVALUATED,
    ),
    ("GET", "/stream/sessions"): Operation("making", {200: Response("What plays", shapes.StreamSessions)}),
    # ---------------------------------------------------------------- jobs
    ("POST", "/api/v1/generate"): Operation(
        "jobs", {200: Response("Taken in", shapes.JobAccepted)}, (409, 502, 503, 504, 507), (_ONCE,), (_GENERATE,)
    ),
    ("GET", "/api/v1/status/{job_id}"): Operation(
        "jobs", {200: Response("The job", JobStatus)}, (404,), (_job("job_id"),)
    ),
    ("GET", "/api/v1/download/{job_id}"): Operation("jobs", _FILE, (*_FETCHING, 416), (_job("job_id"), _FORMAT)),
    ("DELETE", "/api/v1/jobs/{job_id}"): Operation(
        "jobs", {200: Response("Cancelled", shapes.JobCancelledAnswer)}, (404, 409), (_job("job_id"),)
    ),
    ("GET", "/api/v1/jobs"): Operation(
        "jobs",
        {200: Response("One page of jobs", shapes.JobList)},
        (422,),
        (
            Parameter("status", {"type": "string", "enum": [*State]}, "Several with commas between."),
            Parameter(
                "limit", {"type": "integer", "minimum": 1, "maximum": daw.MAX_LIMIT, "default": daw.DEFAULT_LIMIT}
            ),
            Parameter(
                "cursor",
                {"type": "string", "pattern": r"^[0-9]{1,18}\.gen_[0-9a-f]{12}$"},
                "`next` of the last page.",
            ),
        ),
    ),
    ("POST", "/api/v1/prompt/build"): Operation(
        "jobs", {200: Response("The prompt", shapes.BuiltPrompt)}, (), (), (Body(daw.PromptParts, required=False),)
    ),
    # ---------------------------------------------------------------- audio like other audio
    ("POST", "/api/upload"): Operation(
        "similar", {200: Response("What it is like", similar.Uploaded)}, (503, 507), form=_UPLOAD
    ),
    ("GET", "/api/embedding/{audio_id}"): Operation(
        "similar", {200: Response("The embedding", similar.Embedding)}, (404, 503), (_UPLOADED,)
    ),
    ("POST", "/api/generate/{audio_id}"): Operation(
        "similar",
        {200: Response("Taken in", similar.SimilarAccepted)},
        (404, *_MAKING),
        (_ONCE, _UPLOADED),
        (Body(SimilarBody, required=False),),
    ),
    ("GET", "/api/status/{generation_id}"): Operation(
        "similar", {200: Response("The generation", similar.SimilarStatus)}, (404,), (_job("generation_id"),)
    ),
    ("GET", "/api/download/{generation_id}"): Operation(
        "similar",
        {200: Response("The audio", media=_WAV), 206: Response("The part asked for", media=_WAV)},
        (*_FETCHING, 416),
        (_job("generation_id"),),
    ),
    # ---------------------------------------------------------------- sounds
    ("GET", "/sounds"): Operation(
        "sounds",
        {200: Response("One page of sounds", shapes.SoundList)},
        (422,),
        (
            Parameter("q", _TEXT, "Words; the best match comes first."),
            *_FILTERS,
            Parameter("limit", {"type": "integer", "minimum": 1, "maximum": sounds.MAX_LIMIT, "default": 100}),
            Parameter("cursor", {"type": "integer", "minimum": 0, "maximum": 2**62}, "`next` of the last page."),
        ),
    ),
    ("GET", "/sounds/{keyword}"): Operation(
        "sounds",
        {
            **_FILE,
            200: Response("The sound: audio, contract A's JSON, or its facts", media=("application/json", *_AUDIO)),
        },
        (404, 416, 422, 507),
        (
            _KEYWORD,
            Parameter("n", {"type": "integer", "minimum": 0, "maximum": 2**31}, "Its slot."),
            Parameter(
                "format", {"type": "string", "enum": ["base64", "json", *FORMATS]}, "Takes precedence over Accept."
            ),
            *_FILTERS,
        ),
    ),
    ("PATCH", "/sounds/{keyword}"): Operation(
        "sounds",
        {200: Response("The sound as it is now", shapes.SoundDocument)},
        (404, 409, 428, 507),
        (_KEYWORD, _CONFIRMED),
        (Body(sounds.SoundChange, refine={"name": _REFINE["name"]}, required=False),),
    ),
    ("DELETE", "/sounds/{keyword}"): Operation(
        "sounds", {200: Response("Taken away, for now", shapes.Deleted)}, (404, 428, 507), (_KEYWORD, _CONFIRMED)
    ),
    ("POST", "/sounds/{keyword}/slices"): Operation(
        "sounds",
        {200: Response("The sound of the slices", shapes.SoundDocument)},
        (404, 422, 500, 507),
        (_KEYWORD, Parameter("n", {"type": "integer", "minimum": 0, "maximum": 2**31}, "The slot that is cut.")),
    ),
    ("GET", "/session"): Operation("page", {200: Response("What the caller may do", PageSession)}),
    ("POST", "/session"): Operation(
        "page",
        {200: Response("The session; its cookie comes along", PageSession)},
        (429,),
        (),
        (Body(SessionKeyBody),),
    ),
    ("DELETE", "/session"): Operation("page", {200: Response("What the caller may do now", PageSession)}),
    ("POST", "/forget"): Operation(
        "sounds", {200: Response("Wiped", shapes.Forgotten)}, (404, 409, 428, 507), (_CONFIRMED,), (Body(ForgetBody),)
    ),
    ("GET", "/confirm/{id}"): Operation(
        "sounds",
        {200: Response("The document, for a frame of our own page alone", media=("text/html",))},
        (404,),
        (Parameter("id", _TEXT, "What `error.confirm` of a 428 says.", "path"),),
    ),
    ("GET", "/samples/{file}"): Operation(
        "sounds",
        {
            200: Response("The file", media=_FILES),
            206: Response("The part asked for", media=_FILES),
            304: _HAD,
        },
        (404, 416),
        (
            Parameter(
                "file",
                {"type": "string", "pattern": _FILE_NAME},
                _OUTLINE,
                "path",
            ),
        ),
    ),
    # ---------------------------------------------------------------- the players' code
    ("GET", "/sets"): Operation("sets", {200: Response("All sets", sets.SetList)}, (503,)),
    ("GET", "/sets/{id}"): Operation("sets", {200: Response("The set", sets.SetDocument)}, (404, 503), (_SET,)),
    ("PUT", "/sets/{id}"): Operation(
        "sets",
        {200: Response("Kept; the set as it is now", sets.SetDocument)},
        (404, 409, 503, 507),
        (_SET,),
        (Body(sets.SetBody, refine={"code": {"type": "string", "maxLength": MOST_CODE_BYTES}}),),
    ),
    ("PATCH", "/sets/{id}"): Operation(
        "sets", {200: Response("The set is back", sets.SetDocument)}, (404, 503), (_SET,), (Body(sets.SetChange),)
    ),
    ("DELETE", "/sets/{id}"): Operation(
        "sets", {200: Response("Taken away, for now", sets.SetDeleted)}, (404, 428, 503, 507), (_SET, _CONFIRMED)
    ),
    ("GET", "/sets/{id}/versions/{version}"): Operation(
        "sets",
        {200: Response("The version", sets.SetVersionDocument)},
        (404, 503),
        (_SET, Parameter("version", {"type": "integer", "minimum": 1}, "Its number.", "path")),
    ),
    # ---------------------------------------------------------------- Strudel
    ("GET", "/"): Operation(
        "strudel",
        {200: Response("The page for browsers, the sample map for Strudel", shapes.SampleMap, ("text/html",))},
    ),
    ("GET", "/strudel.json"): Operation(
        "strudel", {200: Response("Every sound's addresses", shapes.SampleMap)}, (), (_LICENCE,)
    ),
    ("GET", "/gen/{words}"): Operation(
        "strudel",
        {200: Response("Their addresses, for those that are made", shapes.SampleMap)},
        (400, 409, 422, 502, 503, 504, 507),
        (
            Parameter("words", _TEXT, "`word:count,word.json`", "path"),
            Parameter("bpm", {"type": "number", "minimum": 20, "maximum": 400}),
            Parameter("key", _TEXT),
            Parameter("roots", _TEXT, "Notes at which pitched sounds are made: `c2,c3,c4`"),
            Parameter("wait", {"type": "number", "minimum": 0, "maximum": 20, "default": 1.5}, "Seconds"),
            _LICENCE,
        ),
    ),
    # ---------------------------------------------------------------- probes and papers
    ("GET", "/health"): Operation("probes", {200: Response("The state of the bridge", shapes.Health)}),
    ("GET", "/health/live"): Operation("probes", {200: Response("The process answers", shapes.Alive)}),
    ("GET", "/health/ready"): Operation("probes", {200: Response("New sounds can be made", shapes.Ready)}, (503,)),
    ("GET", "/metrics"): Operation("probes", {200: Response("Prometheus' text format", media=("text/plain",))}),
    ("GET", "/openapi.json"): Operation("papers", {200: Response("This document", dict[str, object])}),
    ("GET", "/asyncapi.json"): Operation("papers", {200: Response("The sockets' description", dict[str, object])}),
    ("GET", "/notices"): Operation("papers", {200: Response("Licences", media=("text/plain",))}, (404,)),
    ("GET", "/licence"): Operation("papers", {200: Response("The licence", media=("text/plain",))}, (404,)),
    ("GET", "/source"): Operation("papers", {200: Response("The source", media=("application/gzip",))}, (404,)),
}

PARTS_OF_PAGES = frozenset({"/assets/{name}", "/sample-bridge.js", "/docs", "/redoc", "/asyncapi", "/viewers/{name}"})
"""What browsers fetch to show a page: no call of the API."""
SOCKETS = frozenset({"/ws", "/ws/stream/{session_id}"})
"""Described by ``asyncapi``."""
