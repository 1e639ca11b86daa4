"""What a settings file that was only found may not have: secrets that stand elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import foreign
from bridge.engines.cloud.keys import VARIABLE, environment
from bridge.exchange.object_storage import LocalFolder, open_storage
from bridge.settings import FIELDS, Settings, load
from tests.provider import Stage, say, stage, wav  # noqa: F401  a fixture

ADDRESSES = {
    "endpoint_url": "http://127.0.0.1:9/steal",
    "replicate_url": "http://127.0.0.1:9/steal",
    "callback_hosts": "thief.example",
    "data_dir": "somewhere",
}
SECRETS = {"api_keys": "ana=geheim"}
PAIRS = [(address, secret) for address, secrets in foreign.RECEIVERS.items() for secret in secrets]


def written(folder: Path, file: str, **values: str) -> None:
    lines = {".env": 'BRIDGE_{NAME}="{value}"\n', "bridge.toml": '{name} = "{value}"\n'}
    text = "".join(lines[file].format(name=name, NAME=name.upper(), value=value) for name, value in values.items())
    with (folder / file).open("a") as target:
        target.write(text)


def secret_of(name: str) -> str:
    return SECRETS.get(name, "geheim")


@pytest.mark.parametrize(("address", "secret"), PAIRS)
@pytest.mark.parametrize("file", [".env", "bridge.toml"])
@pytest.mark.parametrize("elsewhere", ["environment", "the other file", "argument"])
def test_an_address_that_was_found_does_not_get_a_secret_from_elsewhere(
    tmp_path: Path, address: str, secret: str, file: str, elsewhere: str
) -> None:
    written(tmp_path, file, **{address: ADDRESSES[address]})
    environ, arguments = {}, {}
    if elsewhere == "environment":
        environ = {f"BRIDGE_{secret.upper()}": secret_of(secret)}
    elif elsewhere == "argument":
        arguments = {secret: secret_of(secret)}
    else:
        written(tmp_path, "bridge.toml" if file == ".env" else ".env", **{secret: secret_of(secret)})
    settings = load(arguments, environ=environ, folder=tmp_path)
    assert settings.secret_for(address, secret) is None
    assert getattr(settings, address), "who wins stays as it was"
    (sentence,) = [each for each in settings.foreign if each.startswith(f"{address} comes from {file}")]
    assert "--config bridge.toml" in sentence or f"BRIDGE_{address.upper()}" in sentence
    assert secret in sentence
    assert "geheim" not in str(settings.foreign)
    assert settings.key_for_server is None


@pytest.mark.parametrize(("address", "secret"), PAIRS)
@pytest.mark.parametrize("way", ["same .env", "same toml", "--config", "BRIDGE_CONFIG", "environment", "argument"])
def test_an_address_of_the_same_place_or_of_the_user_gets_it(
    tmp_path: Path, address: str, secret: str, way: str
) -> None:
    value, key = ADDRESSES[address], secret_of(secret)
    environ, arguments, config = {f"BRIDGE_{secret.upper()}": key}, {}, None
    if way.startswith("same"):
        environ = {}
        written(tmp_path, {"same .env": ".env", "same toml": "bridge.toml"}[way], **{address: value, secret: key})
    elif way == "environment":
        environ[f"BRIDGE_{address.upper()}"] = value
    elif way == "argument":
        arguments = {address: value}
    else:
        written(tmp_path, "bridge.toml", **{address: value})
        config = Path("bridge.toml") if way == "--config" else None
        environ |= {} if config else {"BRIDGE_CONFIG": "bridge.toml"}
    settings = load(arguments, environ=environ, folder=tmp_path, config=config)
    assert settings.secret_for(address, secret) == key
    assert [each for each in settings.foreign if "not sent" in each or "not used" in each] == []
    assert bool(settings.foreign) is way.startswith("same")


def test_what_stands_in_a_found_file_is_never_filled_in_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "BRIDGE_ENDPOINT_URL=http://127.0.0.1:9/${AWS_SECRET_ACCESS_KEY}\n"
        'BRIDGE_ENDPOINT_BODY={"a": "${OPENAI_API_KEY}", "t": "$prompt"}\n'
    )
    environ = {"AWS_SECRET_ACCESS_KEY": "aws-secret", "OPENAI_API_KEY": "sk-secret"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        settings = load(environ=environ, folder=tmp_path)
    assert settings.endpoint_url == "http://127.0.0.1:9/${AWS_SECRET_ACCESS_KEY}"
    assert settings.endpoint_body == '{"a": "${OPENAI_API_KEY}", "t": "$prompt"}'


def test_an_old_programs_variable_and_a_file_that_env_names_are_found_too(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('hf_token = "geheim"\n')
    (tmp_path / ".env").write_text("BRIDGE_CONFIG=mine.toml\nBRIDGE_ENDPOINT_URL=http://127.0.0.1:9/steal\n")
    assert load(environ={}, folder=tmp_path).secret_for("endpoint_url", "hf_token") is None
    (tmp_path / ".env").write_text("BRIDGE_ENDPOINT_URL=http://127.0.0.1:9/steal\n")
    for name in ("HF_TOKEN", "HUGGINGFACE_API_KEY"):
        settings = load(environ={name: "geheim"}, folder=tmp_path)
        assert "geheim" not in environment(settings, ["endpoint"])[VARIABLE]
        assert settings.hf_token is not None, "Hugging Face itself still gets it"


@pytest.mark.parametrize("name", foreign.ACCOUNTS)
def test_a_place_for_stems_that_was_found_is_not_opened_with_the_users_account(tmp_path: Path, name: str) -> None:
    value = {"storage_url": "s3://thief", "azure_account_url": "https://thief.example"}[name]
    written(tmp_path, "bridge.toml", **{name: value})
    settings = load({"data_dir": tmp_path}, environ={}, folder=tmp_path)
    assert isinstance(open_storage(settings), LocalFolder)
    assert any(name in each and "--config bridge.toml" in each for each in settings.foreign)
    settings = load({"data_dir": tmp_path}, environ={}, folder=tmp_path, config=Path("bridge.toml"))
    assert not isinstance(open_storage(settings), LocalFolder)


def test_every_setting_that_holds_an_address_or_a_secret_has_been_thought_of() -> None:
    """A new one has to be put into the table of bridge/foreign.py, or here, with a reason."""
    fields = Settings.model_fields
    secrets = {name for name in FIELDS if "SecretStr" in str(fields[name].annotation)}
    paired = {secret for _, secret in PAIRS}
    assert secrets - paired == {"azure_connection_string"}  # it holds its address itself
    addresses = {name for name in FIELDS if name.endswith(("_url", "_hosts", "_dir"))}
    assert addresses - set(foreign.RECEIVERS) - set(foreign.ACCOUNTS) == {
        "public_url",  # handed out, nothing is sent there
        "allowed_hosts",  # who may ask us
    }


def test_a_hostile_folder_gets_no_token_and_is_named_whatever_its_log_level(
    tmp_path: Path,
    stage: Stage,  # noqa: F811
) -> None:
    stage.script = [say(body=wav(1.0))]
    (tmp_path / "bridge.toml").write_text(
        f'engine = "endpoint"\nendpoint_url = "{stage.url}/steal"\nlog_level = "error"\n'
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "bridge", "generate", "kick", "--data-dir", str(tmp_path / "data"), "--json"],
        cwd=tmp_path, env={**environ, "HF_TOKEN": "hf_my_real_token"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert stage.paths() == ["POST /steal"]
    assert "hf_my_real_token" not in str(stage.got)
    assert "bridge.toml was found in" in asked.stderr
    assert "hf_token is not sent there" in asked.stderr
    assert "hf_my_real_token" not in asked.stderr
