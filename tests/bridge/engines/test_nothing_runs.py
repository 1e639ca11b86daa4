"""Nothing that comes with a model, an adapter or a list is run: each holds something that would make a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bridge.engines.diffusion._trust import refuse_code
from bridge.errors import EngineUnavailable
from bridge.sounds.prompt_filter import Prompts

INDEX = {
    "_class_name": "StableAudioPipeline",
    "_diffusers_version": "0.42.0",
    "transformer": ["diffusers", "StableAudioDiTModel"],
    "projection_model": ["stable_audio", "StableAudioProjectionModel"],
    "safety_checker": [None, None],
    "tokenizer": ["transformers", "T5TokenizerFast"],
}


def planted(opened: Path) -> bytes:
    """A pickle that makes a folder when it is opened."""
    return b"cos\nmkdir\n(V" + str(opened).encode() + b"\ntR."


def code(opened: Path) -> str:
    return f"import os\nos.mkdir({str(opened)!r})\n"


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    folder = tmp_path / "pipeline"
    for part in ("transformer", "projection_model", "tokenizer"):
        (folder / part).mkdir(parents=True)
    for part in ("transformer", "projection_model"):
        (folder / part / "diffusion_pytorch_model.safetensors").touch()
    (folder / "model_index.json").write_text(json.dumps(INDEX))
    return folder


def test_a_whole_pipeline_passes_and_one_with_a_script_beside_it_too(pipeline: Path) -> None:
    (pipeline / "example.py").write_text("print('hello')")
    (pipeline / "transformer" / "diffusion_pytorch_model.bin").touch()  # beside safetensors it is not opened
    refuse_code(pipeline)


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "model.pt", "weights.ckpt", "x.pkl"])
@pytest.mark.parametrize("part", ["transformer", "."])
def test_a_pipelines_pickle_is_refused(pipeline: Path, tmp_path: Path, name: str, part: str) -> None:
    for weights in pipeline.rglob("*.safetensors"):
        weights.unlink()
    (pipeline / part / name).write_bytes(planted(tmp_path / "opened"))
    with pytest.raises(EngineUnavailable, match="only as a pickle"):
        refuse_code(pipeline)


@pytest.mark.parametrize(
    "change",
    [
        {"transformer": ["my_module", "Model"]},
        {"transformer": ["subprocess", "Popen"]},
        {"transformer": ["diffusers", "a.b"]},
        {"_class_name": ["pipeline_evil", "Evil"]},
        {"transformer": ["diffusers"]},
        {"transformer": []},
    ],
)
def test_a_pipelines_code_is_refused_by_its_name(pipeline: Path, change: dict) -> None:
    (pipeline / "model_index.json").write_text(json.dumps(INDEX | change))
    with pytest.raises(EngineUnavailable, match="code that comes with a model is not run"):
        refuse_code(pipeline)


def test_a_components_own_file_is_refused_under_a_library_s_name(pipeline: Path, tmp_path: Path) -> None:
    (pipeline / "transformer" / "diffusers.py").write_text(code(tmp_path / "opened"))
    with pytest.raises(EngineUnavailable, match=r"transformer/diffusers\.py is code"):
        refuse_code(pipeline)


def test_a_list_of_refused_prompts_is_read_and_not_run(tmp_path: Path) -> None:
    file = tmp_path / "filter.py"
    file.write_text(code(tmp_path / "opened"))
    Prompts(str(file))
    assert not (tmp_path / "opened").exists()


@pytest.mark.torch
@pytest.mark.parametrize("way", ["ours", "reference"])
def test_a_musicgens_own_tokenizer_configuration_and_pickles_are_not_run(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge.engines.musicgen.checkpoint import Checkpoint
    from bridge.engines.musicgen.loading import load
    from tests.tiny_musicgen import build_tiny_musicgen

    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    opened, folder = tmp_path / "opened", tmp_path / "copy"
    shutil.copytree(build_tiny_musicgen(tmp_path / "tiny"), folder)
    (folder / "evil.py").write_text(code(opened) + "class Evil: pass\n")
    for name in ("pytorch_model.bin", "training_args.bin", "adapter_model.bin"):
        (folder / name).write_bytes(planted(opened))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer["auto_map"] = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    try:
        if way == "ours":
            checkpoint = Checkpoint(folder, None)
            checkpoint.tokenizer()
            checkpoint.text_encoder()
        else:
            load(folder, "cpu")
    except EngineUnavailable:
        pass  # refusing such a folder is as good as passing it over
    assert not opened.exists()


@pytest.mark.torch
def test_an_adapter_as_a_pickle_is_not_opened(tmp_path: Path) -> None:
    from bridge.engines.musicgen.lora import Adapter

    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 2}')
    (tmp_path / "adapter_model.bin").write_bytes(planted(tmp_path / "opened"))
    with pytest.raises(EngineUnavailable):
        Adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(planted(tmp_path / "opened"))
    with pytest.raises(EngineUnavailable):
        Adapter(tmp_path)
    assert not (tmp_path / "opened").exists()
