"""An environment with mockrec as README's first command installs it: what starts is what users start."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench import HERE, Bench, BenchError

_ROOT = HERE.parent.parent
_SOURCE = ("pyproject.toml", "README.md", "LICENSE", "cli", "engine", "formats")


@contextmanager
def plain_install(bench: Bench) -> Iterator[Bench]:
    """The same bench with the mockrec of such an environment, which is made and removed; a smoke run keeps its own.

    Raises BenchError where it cannot be made.
    """
    if bench.smoke:
        yield bench
        return
    with bench.scratch() as folder:
        source, home = folder / "source", folder / "venv"
        source.mkdir()
        for name in _SOURCE:  # a copy: a build leaves its files where it builds
            if (_ROOT / name).is_dir():
                shutil.copytree(_ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(_ROOT / name, source)
        _run(sys.executable, "-m", "venv", home)
        _run(home / "bin" / "pip", "install", "--quiet", source)
        yield replace(bench, mockrec=home / "bin" / "mockrec")


def _run(*argv: str | Path) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(map(str, argv))} ended with {done.returncode}: {done.stderr[-500:]}")
