"""An engine's process does not outlive the server that it belongs to."""

from __future__ import annotations

import subprocess
import sys


def test_a_process_whose_server_has_gone_ends_before_it_has_loaded_anything_large() -> None:
    """Such as one that was being started when its server was killed; process 1 is not its parent."""
    command = [sys.executable, "-P", "-X", "importtime", "-m", "bridge.engines.hosting.host", "tone"]
    ended = subprocess.run([*command, "--socket", "0", "--parent", "1"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "bridge.system.lifeline" in loaded
    assert not {"scipy.signal", "bridge.audio.finishing.chains"} & loaded
