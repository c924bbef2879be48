"""The package as it is built: every sub-package is listed, every dependency has its reason, the version is in the changelog."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_listed() -> None:
    found = {
        "mockrec." + ".".join(file.parent.relative_to(ROOT).parts)
        for top in ("cli", "engine", "formats")
        for file in (ROOT / top).rglob("__init__.py")
    }
    found.remove("mockrec.engine.testing")
    found.add("mockrec.testing")  # a program imports the plugin without the engine
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_dependency_has_its_line() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    needed = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"]
    names = [re.split(r"[><=;\[ ]", line)[0] for line in needed]
    assert [name for name in names if f"[{name}]" not in page] == []


def test_the_version_is_the_newest_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\S+) - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    assert versions[0] == PROJECT["project"]["version"]
