"""What the benchmarks make of their numbers; the numbers themselves are nobody's test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as program
from tests.benchmarks import _report as report
from tests.benchmarks._figure import Figure, percentile, skipped, text_table

FIGURES = {
    "fast": Figure(0.5, "s", 1.0, note="median of 3"),
    "slow": Figure(1.0, "s", 1.0),
    "ratio": Figure(0.9, "", 0.9, better="higher"),
    "poor ratio": Figure(0.89, "", 0.9, better="higher"),
    "void": Figure(0.5, "", 0.9, better="higher", void=True),
    "shown": Figure(1234.6, "/s"),
    "absent": skipped("/s", "nginx is not installed.", 5.0),
}
FACTS = {
    "cpu": "a processor",
    "cores": 2,
    "memory_gib": 8.0,
    "system": "Linux",
    "python": "3",
    "aiohttp": "3",
    "python-socketio": "5",
}


def test_a_lower_value_must_be_under_its_bar_and_a_higher_one_must_reach_it() -> None:
    verdicts = {name: figure.ok for name, figure in FIGURES.items()}
    assert verdicts == {
        "fast": True,
        "slow": False,
        "ratio": True,
        "poor ratio": False,
        "void": None,
        "shown": None,
        "absent": None,
    }


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile(list(range(100, 0, -1)), 99) == 99
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([7.0], 99) == 7.0


def test_the_table_says_of_every_figure_how_it_stands() -> None:
    lines = {line.split("  ")[0]: line for line in text_table(FIGURES).splitlines()}
    assert "ok" in lines["fast"]
    assert "MISSED" in lines["slow"]
    assert "≥ 0.9" in lines["ratio"]
    assert "void" in lines["void"].removeprefix("void")
    assert "1,235 /s" in lines["shown"]
    assert "skipped" in lines["absent"]


def test_the_results_are_machine_and_figures_with_value_bar_and_ok(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "bench")
    path = report.write_results("start", FACTS, (0.1, 0.2), FIGURES)
    document = json.loads(path.read_text("utf-8"))
    assert document["machine"] == FACTS
    assert document["figures"].keys() == FIGURES.keys()
    found = {name: document["figures"]["slow"][name] for name in ("value", "bar", "ok")}
    assert found == {"value": 1.0, "bar": 1.0, "ok": False}
    assert document["figures"]["absent"]["value"] is None


def test_the_page_shows_what_was_measured_last_with_its_date_and_hardware(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    path = report.write_results("start", FACTS, (0.1, 0.2), FIGURES)
    page = tmp_path / "measured.md"
    report.write_page({"start": "From nothing to sound.", "stems": "Never run."}, tmp_path, page)
    text = page.read_text("utf-8")
    assert "## start" in text
    assert "From nothing to sound." in text
    assert json.loads(path.read_text("utf-8"))["date"] in text
    assert "a processor, 2 cores" in text
    assert "| slow | 1 s | < 1 | MISSED |" in text
    assert "| void |" not in text, "a figure that says nothing is not published"
    assert "| absent |" not in text
    assert "## stems" not in text
    assert "Not measured on a quiet machine since the last change: stems." in text


def test_the_page_shows_no_figure_of_a_busy_machine_and_the_machine_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    report.write_results("busy", FACTS, (0.5, 0.5), {"WAV by its URL, 99 %": Figure(8.0, "ms", 25)})
    report.write_results(
        "start", FACTS, (1.0, 9.0), {"ready": Figure(1.0, "s"), "other": Figure(1.0, note="NOISY: 40%")}
    )
    report.write_results("push", FACTS, (7.0, 0.0), {"asked to registered": Figure(1.0, "ms")})
    page = tmp_path / "measured.md"
    report.write_page({"busy": "Busy.", "start": "Start.", "push": "Push."}, tmp_path, page)
    text = page.read_text("utf-8")
    assert text.count("a processor, 2 cores") == 1
    first = text.partition("## busy")[0]
    assert "| busy | WAV by its URL, 99 % | 8 ms | < 25 | ok |  |" in first
    assert "| start | ready | 1 s |" in first
    assert "disturbed" not in text.partition("| start |")[2]
    assert "asked to registered" not in text
    assert "the last change: push." in first


def test_every_benchmark_of_the_folder_is_named() -> None:
    assert {"start", "stems", "serving", "push", "clients", "client"} <= set(program.NAMES)
    assert not any(name.startswith("test_") for name in program.NAMES)


def test_an_unknown_name_ends_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["nonsense"])
    assert ended.value.code == 2
    assert "there is no benchmark nonsense" in capsys.readouterr().err


def test_the_exit_code_tells_a_missed_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    stems = __import__("tests.benchmarks.stems", fromlist=["measure"])
    for figure, code in ((FIGURES["fast"], 0), (FIGURES["void"], 0), (FIGURES["slow"], 1)):

        async def measure(figure: Figure = figure) -> dict[str, Figure]:
            return {"figure": figure}

        monkeypatch.setattr(stems, "measure", measure)
        assert program.main(["stems"]) == code
