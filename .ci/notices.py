"""Print the licences of everything that is in the page or that the server imports, for ``/notices``.

Reads what is installed: ``web_client/node_modules`` by the lock file, and the Python packages that pyproject names.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

WEB = Path("web_client")
LICENCE_FILES = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)
RULE = "-" * 78


def npm_notices() -> list[tuple[str, str, str]]:
    """Name with version, licence, text of every package that is bundled into the page."""
    lock = json.loads((WEB / "package-lock.json").read_text())
    found = []
    for path, entry in sorted(lock["packages"].items()):
        folder = WEB / path
        if not path or entry.get("dev") or not (folder / "package.json").is_file():
            continue
        about = json.loads((folder / "package.json").read_text())
        texts = [file.read_text(errors="replace") for file in sorted(folder.iterdir()) if _is_licence(file)]
        found.append((f"{about['name']} {about['version']}", str(about.get("license", "see text")), "\n".join(texts)))
    return found


def python_notices() -> list[tuple[str, str, str]]:
    """The same of the Python packages the server needs, with what they need in turn."""
    seen: dict[str, Distribution] = {}
    waiting = ["sample-bridge"]
    while waiting:
        name = re.split(r"[ <>=!~;\[(]", waiting.pop())[0].lower().replace("_", "-")
        if name in seen:
            continue
        try:
            seen[name] = distribution(name)
        except PackageNotFoundError:
            continue
        waiting += [line for line in seen[name].requires or () if "extra ==" not in line]
    del seen["sample-bridge"]
    found = []
    for name, package in sorted(seen.items()):
        about = package.metadata
        licence = about.get("License-Expression") or (about.get("License") or "see text").splitlines()[0]
        texts = [
            Path(str(file.locate())).read_text(errors="replace")
            for file in package.files or ()
            if _is_notice(str(file))
        ]
        found.append((f"{name} {package.version}", licence, "\n".join(texts)))
    return found


def _is_licence(file: Path) -> bool:
    return file.is_file() and bool(LICENCE_FILES.match(file.name))


def _is_notice(file: str) -> bool:
    return ".dist-info" in file and bool(LICENCE_FILES.search(file.rsplit("/", 1)[-1]))


def main() -> int:
    """Print all notices."""
    print(
        "Sample Bridge is free software: GNU Affero General Public License, version 3 or later, without any warranty."
    )
    print("Its source is at /source. It contains or uses the following packages.\n")
    for title, notices in (("In the page", npm_notices()), ("In the server", python_notices())):
        print(f"{title}\n{'=' * len(title)}\n")
        for name, licence, text in notices:
            print(f"{RULE}\n{name}: {licence}\n{RULE}\n{text.strip() or '(its package carries no licence text)'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
