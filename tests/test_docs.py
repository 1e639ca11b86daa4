"""What the documents say of the settings is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge import compat
from bridge.cli import COMMANDS
from bridge.settings import CONFIG_VARIABLE, VARIABLES, Settings, load
from tests.test_layers import contract

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "settings.md").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")

DEFAULTS = dict(re.findall(r"^\| `(BRIDGE_\w+)` \| (.*?) \| .*? \|$", PAGE, re.MULTILINE))
OLD_ROWS = dict(re.findall(r"^\| `(BRIDGE_\w+)` \| (`[A-Z]\w+`[^|]*) \|$", PAGE, re.MULTILINE))
OLD_NAMES = {alias.variable for aliases in compat.ALIASES.values() for alias in aliases} | set(compat.WITHOUT_EFFECT)
EXAMPLES = dict(re.findall(r"^# ([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))


def test_every_setting_has_a_row_and_every_row_is_a_setting() -> None:
    assert list(DEFAULTS) == list(VARIABLES)


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_documented_default_is_the_default(variable: str) -> None:
    default = Settings.model_fields[VARIABLES[variable]].default
    written = DEFAULTS[variable]
    if variable == "BRIDGE_DATA_DIR":
        assert written == "this user's data folder"
    elif default is None or default == ():
        assert written == "none"
    elif isinstance(default, bool):
        assert written == str(default).lower()
    else:
        assert written == (f"{default:g}" if isinstance(default, float) else str(default))


def test_every_old_variable_is_in_the_row_of_its_setting_in_order() -> None:
    documented = {VARIABLES[name]: re.findall(r"`([A-Z_]+)`", text) for name, text in OLD_ROWS.items()}
    assert documented == {field: [alias.variable for alias in row] for field, row in compat.ALIASES.items()}
    for variable in compat.WITHOUT_EFFECT:
        assert f"`{variable}`" in PAGE


def test_the_example_file_names_every_variable_and_no_other() -> None:
    assert set(EXAMPLES) == {*VARIABLES, CONFIG_VARIABLE, *OLD_NAMES}


def test_every_variable_of_the_example_file_has_a_sentence_above_it() -> None:
    lines = EXAMPLE.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"# [A-Z0-9_]+=", line):
            above = next(text for text in reversed(lines[:number]) if not re.match(r"# [A-Z0-9_]+=", text))
            assert above.startswith("# ")
            assert above.endswith("."), line


def test_the_example_file_sets_nothing_until_it_is_edited(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(EXAMPLE)
    assert load(environ={}, folder=tmp_path) == Settings()


@pytest.mark.parametrize("variable", EXAMPLES)
def test_each_line_of_the_example_file_works_when_it_is_switched_on(tmp_path: Path, variable: str) -> None:
    (tmp_path / "stage.toml").touch()
    (tmp_path / ".env").write_text(EXAMPLE.replace(f"# {variable}=", f"{variable}="))
    settings = load(environ={}, folder=tmp_path)
    assert not [note for note in settings.notes if "not a setting" in note]
    if EXAMPLES[variable] and variable in VARIABLES:
        assert VARIABLES[variable] in settings.model_fields_set


def rows(page: str, heading: str) -> dict[str, str]:
    """The first column of the first table below a heading -> the second one."""
    text = (ROOT / "docs" / page).read_text("utf-8").partition(heading)[2]
    table = text[text.index("| ") :].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.*?) \|$", table, re.MULTILINE))


def test_the_architectures_rooms_are_those_of_the_import_contract_in_its_order() -> None:
    assert list(rows("architecture.md", "## Rooms")) == contract()


def test_every_command_has_a_row_and_every_row_is_a_command() -> None:
    documented = [name.split()[0] for name in rows("cli.md", "# The command line")]
    assert sorted(documented) == sorted(COMMANDS)
