"""Everything that can be set, as one frozen tree, and the one function that reads it from outside.

Sources, the strongest first: arguments of the command, ``BRIDGE_*`` in the environment, the old programs' variables
there (``bridge/compat.py``), both again in ``.env`` of the working folder, ``bridge.toml``, the defaults below. What
was only found in the working folder does not choose where a secret of another source goes: ``bridge/foreign.py``.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from platformdirs import user_data_dir
from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bridge import compat, foreign
from bridge.errors import StartupError

CONFIG_VARIABLE = "BRIDGE_CONFIG"
CONFIG_FILE = "bridge.toml"

_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_REPLICATE_MODEL = r"^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(:[0-9a-f]{64})?|[0-9a-f]{64})$"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _split(value: Any) -> Any:
    """Split text at commas and spaces; lists pass."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _whole(value: Any) -> Any:
    """Read a number that an environment variable wrote as text."""
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value


def _bare_host(name: str) -> str:
    """Reduce ``Name.example:8080`` to ``name.example``: hosts are compared by name, never by port."""
    host = name.strip().lower()
    if host.startswith("[") and "]" in host:
        return host[1 : host.index("]")]
    if host.count(":") <= 1:
        host = host.partition(":")[0].rstrip(".")
        if not _HOST_NAME.fullmatch(host):
            raise ValueError(f"{name!r} is not a host name; write each name out, such as studio.example.org")
    return host


def _bare_origin(text: str) -> str:
    """Write an origin the way browsers send it: lower case, no path, no default port."""
    found = _ORIGIN.fullmatch(text.strip().lower().rstrip("/"))
    if not found:
        raise ValueError(f"{text!r} is not an origin; write scheme, host and port, such as https://studio.example.org")
    scheme, host, port = found.groups()
    return f"{scheme}://{host}{'' if port == _DEFAULT_PORTS.get(scheme) else port or ''}"


def _not_blank(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("write a key that is not blank, or leave it out")
    return secret


def _named_keys(secret: SecretStr) -> SecretStr:
    if read_keys(secret) is None:
        raise ValueError("write name=key, separated by commas, each name (letters, digits and _ . -) and each key once")
    return secret


def read_keys(secret: SecretStr) -> dict[str, str] | None:
    """Read ``name=key, name=key`` into keys by name; None when it is not written so."""
    return _keys_in(secret.get_secret_value())


@lru_cache(maxsize=8)
def _keys_in(text: str) -> dict[str, str] | None:
    # Read with every call that is not a plain read.
    pairs = [each.strip().partition("=") for each in text.split(",") if each.strip()]
    keys = {name.strip(): key.strip() for name, _, key in pairs}
    well = all(re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", name) and key for name, key in keys.items())
    return keys if keys and well and len(keys) == len(set(keys.values())) == len(pairs) else None


def _web_address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text.strip(), re.IGNORECASE):
        raise ValueError("write a web address such as https://studio.example.org")
    return text.strip().rstrip("/")


def _object_storage(text: str) -> str:
    if not re.fullmatch(r"(s3|gs)://[a-z0-9][a-z0-9._-]+(/[A-Za-z0-9._/-]*)?", text.strip()):
        raise ValueError("write s3://bucket/folder or gs://bucket/folder; Azure has settings of its own")
    return text.strip().rstrip("/")


def _word(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _folder(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  Path.resolve() would follow links


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("write a finite number")
    return value


_Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_split)]
_Hosts: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_bare_host)], ...], BeforeValidator(_split)]
_Origins: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_bare_origin)], ...], BeforeValidator(_split)]
_Secret: TypeAlias = Annotated[SecretStr, Field(min_length=1)]
_Port: TypeAlias = Annotated[int, Field(ge=0, le=65535)]
_Seconds: TypeAlias = Annotated[float, Field(gt=0), AfterValidator(_finite)]


class Settings(BaseSettings):
    """All settings; built by hand (``Settings(port=0)``) it reads nothing from outside, see ``load`` for that."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # --- the server
    host: str = "127.0.0.1"
    """Address to listen on. Anything but a loopback address without ``api_key`` makes the server read-only."""
    port: _Port = 5001
    """TCP port; 0 takes a free one."""
    also_port: _Port | None = None
    """A second port; 5432 serves ``samples('local:')``, which asks no other. Unset: none."""
    public_url: Annotated[str, AfterValidator(_web_address)] | None = None
    """Base of the addresses given to other programs, when a proxy stands in front. Unset: the request's own."""
    allowed_hosts: _Hosts = ()
    """Further names that this server answers to, besides loopback names, IP addresses, the address it listens
    on and this machine's own name; in a container every name without a dot is known, too."""
    allowed_origins: _Origins = ()
    """Further origins of pages that may use it, besides its own page, loopback pages and https://strudel.cc."""
    api_key: Annotated[_Secret, AfterValidator(_not_blank)] | None = None
    """Key asked for on every call that is not a plain read once it is set; needed to make sounds over a network, and
    there at least 8 characters long."""
    api_keys: Annotated[_Secret, AfterValidator(_named_keys)] | None = None
    """Further keys, each for one person or program: ``name=key``, separated by commas. The usage log has the names."""
    callback_hosts: _Names = ()
    """Hosts outside the public internet to which a ``callback_url`` may lead, such as a compose service."""
    max_body_kb: Annotated[int, Field(ge=1)] = 64
    """Largest JSON body, in KiB."""
    max_clients: Annotated[int, Field(ge=0)] = 2000
    """Most connected Socket.IO clients; 0 means no limit."""
    max_streams: Annotated[int, Field(ge=0)] = 64
    """Most streams that play at the same time; 0 means no limit."""

    # --- what is kept
    data_dir: Annotated[Path, AfterValidator(_folder)] = Field(
        default_factory=lambda: Path(user_data_dir("sample-bridge", appauthor=False)), validate_default=True
    )
    """Folder of the catalogue and the sounds. Default: this user's data folder."""
    masters_limit_mb: Annotated[int, Field(ge=0)] = 20480
    """Disk space for kept sounds, in MiB; the least recently used go first, pinned ones never. 0 means no limit."""
    deliveries_limit_mb: Annotated[int, Field(ge=1)] = 2048
    """Disk space for files that can be made again (WAV, FLAC, ...), in MiB."""
    undo_seconds: Annotated[int, Field(ge=0)] = 86400
    """Seconds in which a deleted sound can be brought back while there is room for it; 0 deletes at once."""
    prompts_in_files: bool = True
    """Write the words that a sound was made of into its files. What was made before: `sample-bridge forget`."""
    c2pa_certificate: Annotated[Path, AfterValidator(_folder)] | None = None
    """PEM file with your certificate chain; delivered files are then signed with C2PA. Needs the extra c2pa."""
    c2pa_key: Annotated[Path, AfterValidator(_folder)] | None = None
    """PEM file with the private key of ``c2pa_certificate``."""

    # --- making sounds
    engine: Annotated[str, BeforeValidator(_word), Field(min_length=1)] = "auto"
    """Name of the engine, or "auto": MusicGen where it is fast enough, else the procedural one. A set ``model`` makes
    it "musicgen", ``mock_generation`` makes it "procedural"."""
    model: str | None = None
    """Hub id, folder, or size (small, medium, large, melody) of the weights. Unset: small."""
    device: Annotated[Literal["auto", "cpu", "cuda"], BeforeValidator(_word)] = "auto"
    """Where the model runs; "auto" takes the GPU when there is one."""
    precision: Annotated[
        Literal["auto", "int4", "int8", "float16", "bfloat16", "float32", "reference"], BeforeValidator(_word)
    ] = "auto"
    """What MusicGen's weights are kept in. "auto": int8 on a CPU, 16 bits on a GPU; "reference": transformers' own
    generate(), to compare with."""
    mock_generation: bool | None = None
    """true: the procedural engine, whatever model is set. false: nothing falls back to it, a job fails and says why.
    Unset: it stands in where the model cannot."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Engine processes."""
    sample_rate: Annotated[Literal[44100, 48000], BeforeValidator(_whole)] = 44100
    """Hz of finished sounds; ``raw`` ones keep their engine's."""
    effects: Annotated[tuple[str, ...], BeforeValidator(_split), Field(max_length=8)] = ()
    """Audio processors that every new sound goes through, before those that its spec names."""
    pregenerate: bool = True
    """Make the common stems in the background after start."""
    hf_token: _Secret | None = None
    """Token for Hugging Face: models that ask for one, or your own endpoint."""
    replicate_token: _Secret | None = None
    """Token for Replicate."""
    endpoint_url: Annotated[str, AfterValidator(_web_address)] | None = None
    """Address that the engine "endpoint" asks for sounds."""
    endpoint_body: str | None = None
    """JSON that is sent there, with places such as "$prompt". Unset: what Hugging Face's endpoints take."""
    replicate_model: Annotated[str, Field(pattern=_REPLICATE_MODEL)] | None = None
    """Model of the engine "replicate": owner/name, owner/name:version, or a version."""
    replicate_input: str | None = None
    """JSON that this model takes, with places such as "$prompt". Unset: what its MusicGen takes."""
    replicate_url: Annotated[str, AfterValidator(_web_address)] | None = None
    """Address of Replicate's interface, where something stands in between."""
    cloud_price: Annotated[float, Field(ge=0), AfterValidator(_finite)] = 0.0014
    """What a second of a cloud engine's work costs, in your currency."""
    cloud_daily_limit: Annotated[float, Field(ge=0), AfterValidator(_finite)] = 5.0
    """What all cloud engines may spend in a day (UTC), in your currency; 0 means no limit."""
    cloud_timeout: _Seconds = 300.0
    """Seconds that a cloud engine may take for one sound, its provider's waiting line included."""
    ensemble: _Names = ()
    """Engines that the engine "ensemble" asks; it keeps the best answer."""
    prompt_filter: str | None = None
    """Which prompts are refused: a file with a word or phrase a line, or the name of an installed filter."""
    usage_log_mb: Annotated[int, Field(ge=0)] = 10
    """Size of the log of who asked for what, in MiB; 0 writes none."""
    usage_prompts: bool = False
    """Write the words that were asked for into that log, too."""

    # --- stems for other programs
    storage_url: Annotated[str, AfterValidator(_object_storage)] | None = None
    """Object storage for stems: ``s3://bucket/folder`` or ``gs://bucket/folder``. Unset: a folder in ``data_dir``."""
    azure_connection_string: _Secret | None = None
    """Connection string of an Azure storage account, for stems."""
    azure_account_url: Annotated[str, AfterValidator(_web_address)] | None = None
    """Address of an Azure storage account; the machine's identity, or AZURE_* variables, open it."""
    storage_container: Annotated[str, Field(pattern=r"^[a-z0-9](?:-?[a-z0-9]){2,62}$")] = "stems"
    """Container in that Azure account."""
    blob_url_hours: Annotated[int, Field(ge=1, le=168)] = 168
    """Hours for which the address of a stem in object storage can be fetched."""
    stem_days: Annotated[int, Field(ge=0)] = 30
    """Days for which requests for stems, and their files in ``data_dir``, are kept; 0 keeps them."""
    callback_secret: _Secret | None = None
    """Signs every callback, so that its receiver knows who sent it."""

    # --- limits
    max_duration: Annotated[_Seconds, Field(le=120)] = 120.0
    """Longest sound that may be asked for, in seconds."""
    max_upload_duration: _Seconds = 300.0
    """Longest audio that may be uploaded, in seconds."""
    max_upload_bytes: Annotated[int, Field(ge=1)] = 104_857_600
    """Largest file that may be uploaded, in bytes."""
    uploads_limit_mb: Annotated[int, Field(ge=1)] = 2048
    """Disk space for uploaded audio, in MiB; the least recently used goes first."""
    max_concurrent_jobs: Annotated[int, Field(ge=1)] = 5
    """Most jobs that run at the same time, as far as the engine takes several."""
    max_queue: Annotated[int, Field(ge=1)] = 200
    """Most jobs that wait; one more is refused as busy."""
    job_timeout: _Seconds = 600.0
    """Seconds a job may run before it fails."""

    # --- the log
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_word)] = "info"
    """The least serious message that is logged."""
    log_format: Annotated[Literal["auto", "human", "json"], BeforeValidator(_word)] = "auto"
    """"human" lines, "json" lines, or "auto": human on a terminal, else JSON."""

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)
    _notes: tuple[str, ...] = PrivateAttr(default=())
    _foreign: tuple[str, ...] = PrivateAttr(default=())
    _withheld: frozenset[tuple[str, str]] = PrivateAttr(default=frozenset())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keep what the caller gives: ``load`` ranks the sources itself, since the aliases stand between them."""
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _choose_engine(cls, values: Any) -> Any:
        """Let ``mock_generation`` and ``model`` choose the engine, so that everybody else only reads ``engine``."""
        if not isinstance(values, dict):
            return values
        if _is_true(values.get("mock_generation")):
            return {**values, "engine": "procedural"}
        if values.get("model") and _word(values.get("engine") or "auto") == "auto":
            return {**values, "engine": "musicgen"}
        return values

    @property
    def all_keys(self) -> Mapping[str, str]:
        """Every key by the name of who has it; that of ``api_key`` is empty."""
        named = read_keys(self.api_keys) if self.api_keys is not None else None
        return ({"": self.api_key.get_secret_value()} if self.api_key is not None else {}) | (named or {})

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the log about what was found while loading: unknown names, aliases that disagree."""
        return self._notes

    @property
    def foreign(self) -> tuple[str, ...]:
        """Sentences about files that were found in the working folder: what they set, and what is not sent there."""
        return self._foreign

    def secret_for(self, address: str, secret: str) -> str | None:
        """Give the secret for what the setting ``address`` names; None when it has none, or when it is not to get it:
        see bridge/foreign.py.
        """
        value = getattr(self, secret)
        return None if value is None or self.is_withheld(address, secret) else str(value.get_secret_value())

    @property
    def key_for_server(self) -> str | None:
        """A key to show to the server whose address lies in ``data_dir``; None when there is none, or not for it."""
        if (key := self.secret_for("data_dir", "api_key")) is not None:
            return key
        named = read_keys(SecretStr(self.secret_for("data_dir", "api_keys") or ""))
        return next(iter(named.values())) if named else None

    def is_withheld(self, address: str, secret: str = "") -> bool:
        """Was ``address`` found in the working folder, while the secret that it would get stands elsewhere?"""
        return (address, secret) in self._withheld


FIELDS: tuple[str, ...] = tuple(Settings.model_fields)
_SECRETS = frozenset(
    {"api_key", "api_keys", "hf_token", "replicate_token", "azure_connection_string", "callback_secret"}
)
VARIABLES: Mapping[str, str] = {compat.PREFIX + name.upper(): name for name in FIELDS}
"""Our variables and the setting of each."""


def load(
    arguments: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    config: Path | None = None,
) -> Settings:
    """Read the settings from all sources.

    ``arguments``: settings given on the command line; None means not given. ``environ``: ``os.environ`` unless given.
    ``folder``: where ``.env`` and ``bridge.toml`` are looked for, the working folder unless given. ``config``: a TOML
    file that must exist, instead of ``bridge.toml`` (also ``BRIDGE_CONFIG``).

    Raises StartupError with a sentence that names the source of the value that is wrong.
    """
    folder = Path.cwd() if folder is None else folder
    environment = dict(os.environ if environ is None else environ)
    dotenv = _read_dotenv(folder / ".env")
    given = {name: value for name, value in (arguments or {}).items() if value is not None}

    named = config or environment.get(CONFIG_VARIABLE) or dotenv.get(CONFIG_VARIABLE)
    path = folder / named if named else folder / CONFIG_FILE
    values: dict[str, Any] = _read_toml(path, must_exist=bool(named))
    sources = dict.fromkeys(values, path.name)
    asked_for = bool(config or environment.get(CONFIG_VARIABLE))
    places = dict.fromkeys(values, foreign.OWN if asked_for else path.name)

    origins = (("environment", environment), (".env", dotenv))
    place_of = {"environment": foreign.OWN, ".env": ".env"}
    for origin, variables in reversed(origins):
        for variable, name in VARIABLES.items():
            if variables.get(variable):
                values[name], sources[name] = variables[variable], f"{variable} ({origin})"
                places[name] = place_of[origin]
    found = compat.apply(environment, dotenv)
    for name, value in found.values.items():
        values[name] = value
        origin = origins[found.levels[name]][0]
        sources[name], places[name] = f"{found.sources[name]} ({origin})", place_of[origin]
    notes = list(found.notes)

    asked = _word(given.get("engine", "auto"))
    if asked not in {"auto", "procedural"} and _is_true(values.get("mock_generation")):
        del values["mock_generation"], places["mock_generation"]
        notes.append(f"--engine {asked} was typed, so {sources.pop('mock_generation')} has no effect.")
    values |= given
    sources |= dict.fromkeys(given, "argument")
    places |= dict.fromkeys(given, foreign.OWN)

    for origin, variables in origins:
        notes += [_unknown_sentence(origin, *pair) for pair in unknown_variables(variables)]
    settings = _validated(values, sources)
    for cause in ("mock_generation", "model"):
        if getattr(settings, cause) and settings.engine != _word(values.get("engine") or "auto"):
            sources["engine"] = f"follows {cause}, {sources[cause]}"
            break
    settings._sources = sources  # noqa: SLF001  our own, written once
    settings._notes = tuple(notes)  # noqa: SLF001
    settings._withheld = foreign.withheld(places)  # noqa: SLF001
    settings._foreign = tuple(foreign.sentences(places, sources, folder, settings._withheld))  # noqa: SLF001
    return settings


def unknown_variables(environ: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """Name every ``BRIDGE_*`` variable that is none of ours, with the nearest that is (None: nothing is near)."""
    known = [*VARIABLES, CONFIG_VARIABLE]
    names = sorted(name for name in environ if name.startswith(compat.PREFIX) and name not in known)
    bare = {name.removeprefix(compat.PREFIX): name for name in known}  # the prefix would make all of them alike
    return [(name, bare.get(_nearest(name.removeprefix(compat.PREFIX), bare) or "")) for name in names]


def explain(settings: Settings) -> list[tuple[str, Any, str]]:
    """Give each setting with its value and its source; secrets say only whether they are set."""
    return [
        (name, _shown(getattr(settings, name)), settings._sources.get(name, _own_source(settings, name)))  # noqa: SLF001
        for name in FIELDS
    ]


def _own_source(settings: Settings, name: str) -> str:
    return "argument" if name in settings.model_fields_set and not settings._sources else "default"  # noqa: SLF001


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "(secret, set)"
    return str(value) if isinstance(value, Path) else value


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() in {"1", "true", "yes", "on", "y", "t"}


def _nearest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def _unknown_sentence(origin: str, name: str, nearest: str | None) -> str:
    hint = f"did you mean {nearest}?" if nearest else "`sample-bridge settings` lists the names."
    return f"{name} ({origin}) is not a setting and has no effect: {hint}"


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # most folders have no such file

    try:
        # not interpolated: `${HF_TOKEN}` in a file that was only found would send that secret wherever the file says
        found = dotenv_values(path, encoding="utf-8", interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"{path} cannot be read ({error}): fix it or move it away.") from error
    return {name: value for name, value in found.items() if value is not None}


def _read_toml(path: Path, *, must_exist: bool) -> dict[str, Any]:
    if not must_exist and not path.exists():
        return {}
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise StartupError(f"The settings file {path} is not there: check --config or {CONFIG_VARIABLE}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StartupError(f"The settings file {path} cannot be read: {error}.") from error
    for name in values:
        if name not in FIELDS:
            nearest = _nearest(name, FIELDS)
            hint = f"did you mean {nearest}?" if nearest else "`sample-bridge settings` lists the names."
            raise StartupError(f"{path.name} sets {name}, which is not a setting: {hint}")
    return values


def _validated(values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        text = first["msg"].removeprefix("Value error, ")
        shown = "" if name in _SECRETS else f", {str(values.get(name))!r},"
        raise StartupError(
            f"The setting {name} from {sources.get(name, 'its default')}{shown} is not right: {text}.", field=name
        ) from None
