"""What a model's name means, and its licence. Needs no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.engines.musicgen import MusicGenEngine, licences, resolve_model
from bridge.engines.musicgen.models import SIZES, ModelRef
from bridge.errors import EngineUnavailable


@pytest.mark.parametrize(
    ("name", "hub_id"),
    [
        (None, "facebook/musicgen-small"),
        ("", "facebook/musicgen-small"),
        ("small", "facebook/musicgen-small"),
        ("musicgen-small", "facebook/musicgen-small"),
        (" Medium ", "facebook/musicgen-medium"),
        ("base", "facebook/musicgen-medium"),
        ("musicgen-base", "facebook/musicgen-medium"),
        ("large", "facebook/musicgen-large"),
        ("musicgen-melody", "facebook/musicgen-melody"),
        ("facebook/musicgen-large", "facebook/musicgen-large"),
        ("facebook/musicgen-stereo-small", "facebook/musicgen-stereo-small"),
        ("somebody/my-tune.v2", "somebody/my-tune.v2"),
    ],
)
def test_a_size_or_a_hub_id_is_a_model_of_the_hub(name: str | None, hub_id: str) -> None:
    ref = resolve_model(name)
    assert (ref.hub_id, ref.folder, ref.name) == (hub_id, None, hub_id)


def test_size_and_licence_are_known_before_anything_is_fetched() -> None:
    refs = {size: resolve_model(size) for size in SIZES}
    assert {size: ref.megabytes for size, ref in refs.items()} == {
        "small": 2_400,
        "medium": 8_000,
        "large": 13_700,
        "melody": 6_200,
    }
    assert {ref.licence for ref in refs.values()} == {"CC-BY-NC-4.0"}
    assert resolve_model("facebook/musicgen-large") == refs["large"]
    assert resolve_model("facebook/musicgen-stereo-large").licence == "CC-BY-NC-4.0"
    assert resolve_model("somebody/tune").licence is None


def test_the_sizes_whose_main_branch_has_pickles_only_come_from_their_conversion() -> None:
    assert {size: model.revision for size, model in SIZES.items()} == {
        "small": "main",
        "medium": "refs/pr/10",
        "large": "refs/pr/18",
        "melody": "main",
    }


def test_a_folder_is_told_from_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    assert resolve_model("models/mine").folder == tmp_path / "models" / "mine"
    assert resolve_model("models/other").hub_id == "models/other"
    assert resolve_model("./other").folder == tmp_path / "other"
    assert resolve_model(str(tmp_path)).folder == tmp_path
    assert resolve_model("~/tune").folder == Path.home() / "tune"


@pytest.mark.parametrize("name", ["huge", "musicgen-", "a/b/c", "-x/y", "so\0me", "a\nb", "facebook/", "мир"])
def test_any_other_name_is_refused_with_what_may_be_said(name: str) -> None:
    with pytest.raises(EngineUnavailable, match=r"small, medium, large, melody.*facebook/musicgen-small.*folder"):
        resolve_model(name)


@pytest.mark.parametrize(
    ("readme", "licence", "commercial"),
    [
        (None, "unknown", False),
        ("# My tune\nlicense: mit", "unknown", False),
        ("---\ntags:\n- music\n---\n", "unknown", False),
        ("---\nlicense: mit\n---\n# My tune", "MIT", True),
        ('---\ntags: [a]\nlicense: "cc-by-nc-4.0"\n---\n', "CC-BY-NC-4.0", False),
        ("---\r\nlicense: apache-2.0\r\n---\r\n", "Apache-2.0", True),
        ("---\nlicense: other\n---\n", "other", False),
        ("---\nlicense: mit\nbase_model: facebook/musicgen-small\n---\n", "CC-BY-NC-4.0", False),
        ("---\nlicense: mit\nbase_model:\n- x/y\n- facebook/musicgen-large\n---\n", "CC-BY-NC-4.0", False),
    ],
)
def test_the_licence_of_a_folder_is_what_its_readme_states(
    tmp_path: Path, readme: str | None, licence: str, commercial: bool
) -> None:
    if readme is not None:
        (tmp_path / "README.md").write_bytes(readme.encode())
    assert licences.licence_of(ModelRef(folder=tmp_path), tmp_path) == (licence, commercial)


def test_facebooks_weights_are_never_for_commerce(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    assert licences.licence_of(resolve_model("small"), tmp_path) == ("CC-BY-NC-4.0", False)


def test_knowing_the_engine_loads_neither_torch_nor_the_hub() -> None:
    code = (
        "import sys, bridge.engines.musicgen as m\n"
        "m.resolve_model('small'), m.installed()\n"
        "print([n for n in ('torch', 'transformers', 'huggingface_hub', 'tqdm') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["torch", "transformers"])
def test_without_torch_or_transformers_it_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(
        EngineUnavailable, match=r"make run ENGINE=musicgen, or pip install 'sample-bridge\[musicgen\]'"
    ):
        MusicGenEngine(model="small", device="cpu")
