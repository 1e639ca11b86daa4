"""The engine plug-in in examples/, as a package of its own beside the bridge."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from bridge.engines import registry
from bridge.plugins.clip import Clip
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.orders import generate_order
from prompts import SampleSpec

FOLDER = Path(__file__).parents[3] / "examples" / "engine_plugin"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the package out as an installer does: its module, and its entry points as its pyproject.toml has them."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    place = tmp_path / "site"
    facts = place / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    facts.mkdir(parents=True)
    (place / "hum_engine.py").write_bytes((FOLDER / "hum_engine.py").read_bytes())
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"{name} = {value}" for name, value in project["entry-points"][registry.GROUP].items()]
    (facts / "entry_points.txt").write_text("\n".join([f"[{registry.GROUP}]", *lines]))
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", str(place))  # for the engine's process
    return place


def test_it_is_registered_and_hums_the_key(plugin: Path) -> None:
    engine = registry.build("hum", model=None, device="cpu", data_dir=None)
    spec = SampleSpec(prompt="hum", key="a", kind="raw", duration=2).resolved("hum")
    clip = Clip.join(engine.stream(spec, 2.0, lambda _: None))
    spectrum = np.abs(np.fft.rfft(clip.samples[0]))
    assert abs(int(np.argmax(spectrum)) / 2 - 220) < 2


async def test_the_service_makes_a_sound_with_it(plugin: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", engine="hum", pregenerate=False)
    async with open_service(settings) as service:
        placed = await service.make(generate_order({"prompt": "a hum", "duration": 0.5})[0])
        assert placed.sample.facts["engine"] == "hum"
