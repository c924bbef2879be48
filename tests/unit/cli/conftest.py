"""The command line as a function: arguments in, exit code and both outputs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from mockrec.cli import printing


@dataclass
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def mockrec(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs one command line in this process."""
    from mockrec.cli.__main__ import main

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """How much is said is a setting of the process: every test begins and leaves with the ordinary one."""
    printing.set_quiet(False)
    printing.set_verbose(False)
    yield
    printing.set_quiet(False)
    printing.set_verbose(False)
