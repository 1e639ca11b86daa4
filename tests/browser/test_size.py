"""What a browser loads before the first sound."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "bridge" / "static"


def test_all_scripts_together_stay_under_600_kilobytes_gzipped() -> None:
    scripts = [*STATIC.glob("*.js"), *STATIC.glob("assets/*.js")]
    if not scripts:
        pytest.fail("The page is not built: run `make build`, then the tests again.")
    size = sum(len(gzip.compress(script.read_bytes())) for script in scripts)
    print(f"all scripts: {size / 1000:.0f} kB gzipped")
    assert size < 600_000


def test_no_script_is_so_large_that_the_build_gives_advice_about_it() -> None:
    config = (STATIC.parents[1] / "web_client" / "vite.config.ts").read_text(encoding="utf-8")
    found = re.search(r"chunkSizeWarningLimit: (\d+)", config)
    assert found
    assert max(script.stat().st_size for script in STATIC.glob("assets/*.js")) < 1000 * int(found[1])


def test_the_page_names_no_other_host_and_has_no_script_of_its_own() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "https://" not in html
    assert html.replace("http://www.w3.org/2000/svg", "").count("http://") == 0
    assert html.count("<script") == html.count('<script type="module" crossorigin src="/assets/')
