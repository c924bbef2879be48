"""The sdist, the wheel made from it, and what an installed wheel can do."""

from __future__ import annotations

import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "LICENSES", "cli", "engine", "formats")


def run(*argv: str | Path, cwd: Path) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, which is built from a copy: a `build` folder of earlier builds would be packed too."""
    source = tmp_path_factory.mktemp("source")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, source / part)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", source / "dist", source, cwd=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


def _installed(file: Path) -> Path:
    """Return where a module is installed below `mockrec/`; `engine/testing` is `mockrec.testing`."""
    return file.relative_to("engine") if file.is_relative_to("engine/testing") else file


def test_only_mockrec_is_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"mockrec"}
    assert {"mockrec/cli/py.typed", "mockrec/engine/py.typed", "mockrec/formats/py.typed"} <= set(names)
    licences = {name.partition(".dist-info/licenses/")[2] for name in names if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "LICENSES/gitleaks.txt", "LICENSES/htm.txt", "LICENSES/preact.txt"}
    page = {file.relative_to(ROOT) for file in (ROOT / "formats/report/page").rglob("*.*")}
    assert page <= {Path(name).relative_to("mockrec") for name in names if name.startswith("mockrec/")}
    modules = {_installed(file.relative_to(ROOT)) for top in PARTS[4:] for file in (ROOT / top).rglob("*.py")}
    assert {Path(name).relative_to("mockrec") for name in names if name.endswith(".py")} == modules


def test_an_installed_wheel_works(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    # The dependencies are those of the environment that runs the tests; the wheel comes before them on the path.
    (packages,) = (home / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n", encoding="utf-8")
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index",
        "--force-reinstall", "--ignore-installed", wheel, cwd=tmp_path)  # fmt: skip
    assert run(home / "bin" / "mockrec", "--version", cwd=tmp_path).startswith("mockrec ")
    where = run(python, "-c", "import mockrec.engine.run.run as r, mockrec.cli.app; print(r.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(packages)
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 1\nrules:\n  - {when: {path: /a}, then: {reply: {body: A}}}\n", encoding="utf-8")
    said = run(home / "bin" / "mockrec", "run", rules, "-o", "s.jsonl", "--", python, "-c",
               "import os, urllib.request; print(urllib.request.urlopen(os.environ['MOCKREC_URL'] + '/a').read())",
               cwd=tmp_path)  # fmt: skip
    assert said == "b'A'\n"
    assert "complete: 5 records" in run(python, "-m", "mockrec.cli", "verify", "s.jsonl", cwd=tmp_path)
