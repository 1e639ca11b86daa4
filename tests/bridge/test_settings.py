"""Where settings come from, which source wins, and what is said when one is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.errors import StartupError
from bridge.settings import Settings, explain, load, unknown_variables


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def source_of(settings: Settings, field: str) -> str:
    return next(source for name, _, source in explain(settings) if name == field)


def test_settings_built_by_hand_read_nothing_from_outside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_PORT", "7000")
    monkeypatch.setenv("PORT", "7001")
    monkeypatch.chdir(folder)
    (folder / ".env").write_text("BRIDGE_PORT=7002\n")
    (folder / "bridge.toml").write_text("port = 7003\n")
    assert Settings().port == 5001
    assert Settings(port=0).port == 0


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_each_source_beats_the_next(folder: Path) -> None:
    sources: list[tuple[str, Any]] = [("default", 5001)]
    assert load(environ={}, folder=folder).port == 5001

    (folder / "bridge.toml").write_text("port = 7001\n")
    sources.append(("bridge.toml", 7001))
    (folder / ".env").write_text("MUSICGEN_PORT=7002\n")
    assert (load(environ={}, folder=folder).port) == 7002
    (folder / ".env").write_text("MUSICGEN_PORT=7002\nexport BRIDGE_PORT='7003'  # ours\n")
    settings = load(environ={}, folder=folder)
    assert (settings.port, source_of(settings, "port")) == (7003, "BRIDGE_PORT (.env)")

    environ = {"MUSICGEN_PORT": "7004"}
    settings = load(environ=environ, folder=folder)
    assert (settings.port, source_of(settings, "port")) == (7004, "MUSICGEN_PORT (environment)")
    environ["BRIDGE_PORT"] = "7005"
    settings = load(environ=environ, folder=folder)
    assert (settings.port, source_of(settings, "port")) == (7005, "BRIDGE_PORT (environment)")
    settings = load({"port": 7006, "host": None}, environ=environ, folder=folder)
    assert (settings.port, source_of(settings, "port")) == (7006, "argument")
    assert (settings.host, source_of(settings, "host")) == ("127.0.0.1", "default")


def test_the_environment_beats_the_file_for_a_setting_without_an_old_name(folder: Path) -> None:
    (folder / ".env").write_text("BRIDGE_HOST=::1\n")
    settings = load(environ={"BRIDGE_HOST": "0.0.0.0"}, folder=folder)
    assert (settings.host, source_of(settings, "host")) == ("0.0.0.0", "BRIDGE_HOST (environment)")


def test_toml_alone_is_a_source(folder: Path) -> None:
    (folder / "bridge.toml").write_text(
        'port = 7001\nallowed_hosts = ["a.example", "b.example"]\npregenerate = false\n'
    )
    settings = load(environ={}, folder=folder)
    assert (settings.port, settings.allowed_hosts, settings.pregenerate) == (7001, ("a.example", "b.example"), False)
    assert source_of(settings, "port") == "bridge.toml"


@pytest.mark.parametrize("way", ["argument", "environment", ".env"])
def test_another_settings_file_may_be_named(folder: Path, way: str) -> None:
    (folder / "bridge.toml").write_text("port = 7001\n")
    (folder / "stage.toml").write_text("port = 7002\n")
    environ = {"BRIDGE_CONFIG": "stage.toml"} if way == "environment" else {}
    if way == ".env":
        (folder / ".env").write_text("BRIDGE_CONFIG=stage.toml\n")
    config = folder / "stage.toml" if way == "argument" else None
    settings = load(environ=environ, folder=folder, config=config)
    assert (settings.port, source_of(settings, "port"), settings.notes) == (7002, "stage.toml", ())


@pytest.mark.parametrize(
    ("files", "environ", "words"),
    [
        ({}, {"BRIDGE_PORT": "many"}, ["port", "BRIDGE_PORT (environment)", "many"]),
        ({}, {"BRIDGE_PORT": "70000"}, ["port", "65535"]),
        ({}, {"MUSICGEN_PORT": "-1"}, ["MUSICGEN_PORT (environment)"]),
        ({".env": "DEVICE=tpu\n"}, {}, ["device", "DEVICE (.env)", "tpu", "cuda"]),
        ({}, {"MAX_DURATION": "nan"}, ["max_duration", "MAX_DURATION"]),
        ({}, {"BRIDGE_MAX_DURATION": "121"}, ["max_duration", "120"]),
        ({}, {"BRIDGE_JOB_TIMEOUT": "inf"}, ["job_timeout", "finite"]),
        ({}, {"BRIDGE_MAX_QUEUE": "0"}, ["max_queue"]),
        ({}, {"BRIDGE_ALLOWED_HOSTS": "*"}, ["allowed_hosts", "host name"]),
        ({}, {"BRIDGE_ALLOWED_ORIGINS": "null"}, ["allowed_origins", "https://"]),
        ({}, {"BRIDGE_ALLOWED_ORIGINS": "*"}, ["allowed_origins", "https://"]),
        ({}, {"BRIDGE_ALLOWED_ORIGINS": "https://a.example/page"}, ["allowed_origins", "https://"]),
        ({}, {"BRIDGE_PUBLIC_URL": "a.example"}, ["public_url", "https://"]),
        ({}, {"BRIDGE_LOG_LEVEL": "loud"}, ["log_level", "warning"]),
        ({"bridge.toml": "port = \n"}, {}, ["bridge.toml", "cannot be read", "line 1"]),
        ({"bridge.toml": "prot = 1\n"}, {}, ["bridge.toml", "prot", "did you mean port?"]),
        ({"bridge.toml": "[server]\nport = 1\n"}, {}, ["bridge.toml", "server", "not a setting"]),
        ({"bridge.toml": "port = true\nhost = 3\n"}, {}, ["host", "bridge.toml"]),
        ({}, {"BRIDGE_CONFIG": "gone.toml"}, ["gone.toml", "not there", "BRIDGE_CONFIG"]),
        ({"bridge.toml": "api_key = ''\n"}, {}, ["api_key"]),
        ({}, {"BRIDGE_API_KEYS": "geheim"}, ["api_keys", "name=key"]),
        ({}, {"BRIDGE_API_KEYS": "ana=x,ben=x"}, ["api_keys", "each key once"]),
        ({}, {"BRIDGE_API_KEYS": "ana=x,ana=y"}, ["api_keys", "each name"]),
        ({}, {"BRIDGE_API_KEYS": "ana="}, ["api_keys"]),
    ],
)
def test_a_wrong_value_is_a_sentence_that_names_its_source(
    folder: Path, files: dict[str, str], environ: dict[str, str], words: list[str]
) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(StartupError) as error:
        load(environ=environ, folder=folder)
    for word in words:
        assert word in error.value.message
    assert "\n" not in error.value.message.strip()


def test_a_file_that_is_no_text_is_a_sentence(folder: Path) -> None:
    for name in (".env", "bridge.toml"):
        (folder / name).write_bytes(b"\xff\xfe\x00")
        with pytest.raises(StartupError, match=name):
            load(environ={}, folder=folder)
        (folder / name).unlink()


def test_secrets_are_shown_nowhere(folder: Path) -> None:
    environ = {
        "BRIDGE_API_KEY": "geheim-1",
        "HUGGINGFACE_API_KEY": "geheim-2",
        "BRIDGE_REPLICATE_TOKEN": "geheim-3",
        "REPLICATE_API_TOKEN": "geheim-4",
    }
    settings = load(environ=environ, folder=folder)
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "geheim-1"
    rows = {name: value for name, value, _ in explain(settings)}
    assert [rows[name] for name in ("api_key", "hf_token", "replicate_token")] == ["(secret, set)"] * 3
    assert "geheim" not in f"{rows} {settings!r} {settings} {settings.notes}"
    with pytest.raises(ValidationError) as refusal:
        Settings(api_key=["geheim-5"])
    assert "geheim" not in str(refusal.value)
    (folder / "bridge.toml").write_text("api_key = ['geheim-5']\n")
    with pytest.raises(StartupError) as error:
        load(environ={}, folder=folder)
    assert "geheim" not in f"{error.value!r} {error.value.details} {error.value.__cause__}"


@pytest.mark.parametrize(
    ("arguments", "environ", "engine", "model"),
    [
        ({}, {}, "auto", None),
        ({}, {"MUSICGEN_MODEL": "large"}, "musicgen", "large"),
        ({"model": "small"}, {}, "musicgen", "small"),
        ({}, {"BRIDGE_MODEL": "small", "BRIDGE_ENGINE": "auto"}, "musicgen", "small"),
        ({}, {"BRIDGE_MODEL": "small", "BRIDGE_ENGINE": "procedural"}, "procedural", "small"),
        ({}, {"MOCK_GENERATION": "true"}, "procedural", None),
        ({}, {"MOCK_GENERATION": "true", "MUSICGEN_MODEL": "large"}, "procedural", "large"),
        ({}, {"MOCK_GENERATION": "true", "BRIDGE_ENGINE": "musicgen"}, "procedural", None),
        ({}, {"MOCK_GENERATION": "false"}, "auto", None),
        ({}, {"MOCK_GENERATION": "false", "MUSICGEN_MODEL": "large"}, "musicgen", "large"),
        ({"engine": "musicgen"}, {"MOCK_GENERATION": "true"}, "musicgen", None),
        ({"engine": "Auto"}, {"MOCK_GENERATION": "true"}, "procedural", None),
        ({"engine": "Procedural"}, {"MUSICGEN_MODEL": "large"}, "procedural", "large"),
    ],
)
def test_mock_generation_beats_a_set_model_which_selects_musicgen(
    folder: Path, arguments: dict[str, Any], environ: dict[str, str], engine: str, model: str | None
) -> None:
    settings = load(arguments, environ=environ, folder=folder)
    assert (settings.engine, settings.model) == (engine, model)


def test_mock_generation_false_stays_known_beside_a_typed_engine(folder: Path) -> None:
    settings = load({"engine": "musicgen"}, environ={"MOCK_GENERATION": "false"}, folder=folder)
    assert (settings.engine, settings.mock_generation, settings.notes) == ("musicgen", False, ())


def test_a_typed_engine_that_beats_mock_generation_is_noted(folder: Path) -> None:
    settings = load({"engine": "musicgen"}, environ={"MOCK_GENERATION": "true"}, folder=folder)
    assert settings.mock_generation is None
    assert len(settings.notes) == 1
    assert "MOCK_GENERATION" in settings.notes[0]


def test_the_source_of_a_chosen_engine_is_what_chose_it(folder: Path) -> None:
    settings = load(environ={"MUSICGEN_MODEL": "large"}, folder=folder)
    assert source_of(settings, "engine") == "follows model, MUSICGEN_MODEL (environment)"
    settings = load({"engine": "musicgen", "model": "large"}, environ={}, folder=folder)
    assert source_of(settings, "engine") == "argument"


def test_unknown_variables_are_named_with_the_nearest_known_one(folder: Path) -> None:
    environ = {"BRIDGE_ENGIN": "x", "BRIDGE_": "", "BRIDGE_PORT": "1", "BRIDGE_CONFIG": "", "BRIDGEHEAD": "x", "ZZ": ""}
    assert unknown_variables(environ) == [("BRIDGE_", None), ("BRIDGE_ENGIN", "BRIDGE_ENGINE")]
    assert unknown_variables({"BRIDGE_XQZV_WWWW": "1"}) == [("BRIDGE_XQZV_WWWW", None)]
    (folder / ".env").write_text("BRIDGE_HOTS=0.0.0.0\nSOMETHING_ELSE=1\n")
    settings = load(environ={"BRIDGE_ENGIN": "x"}, folder=folder)
    assert len(settings.notes) == 2
    assert "BRIDGE_ENGINE?" in settings.notes[0]
    assert "BRIDGE_HOTS (.env)" in settings.notes[1]
    assert "BRIDGE_HOST?" in settings.notes[1]


def test_an_empty_variable_is_not_set(folder: Path) -> None:
    settings = load(environ={"BRIDGE_PORT": "", "BRIDGE_API_KEY": "", "MUSICGEN_MODEL": ""}, folder=folder)
    assert (settings.port, settings.api_key, settings.engine) == (5001, None, "auto")


def test_lists_are_written_with_commas_or_spaces_and_hosts_lose_their_port(folder: Path) -> None:
    environ = {
        "BRIDGE_ALLOWED_HOSTS": "Studio.Example.org.:8080, bridge  [::2]:80 ::3",
        "BRIDGE_ALLOWED_ORIGINS": "HTTPS://A.example:443,http://b.example:8080/ http://c.example:80",
        "BRIDGE_CALLBACK_HOSTS": "api",
    }
    settings = load(environ=environ, folder=folder)
    assert settings.allowed_hosts == ("studio.example.org", "bridge", "::2", "::3")
    assert settings.allowed_origins == ("https://a.example", "http://b.example:8080", "http://c.example")
    assert settings.callback_hosts == ("api",)


def test_the_data_folder_is_absolute_and_knows_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    assert Settings(data_dir="~/sounds").data_dir == folder / "sounds"
    assert Settings(data_dir="sounds").data_dir == folder / "sounds"
    assert Settings().data_dir.is_absolute()


def test_loading_settings_imports_no_server_and_no_model() -> None:
    words = "import sys, bridge.settings; print(sorted({'aiohttp', 'numpy', 'torch', 'socketio'} & set(sys.modules)))"
    asked = subprocess.run([sys.executable, "-P", "-c", words], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"
