"""Rule files from text, for tests that need one: with the files beside it and the environment they name."""

from __future__ import annotations

import errno
from textwrap import indent

import pytest

from mockrec.engine.errors import RuleFileError
from mockrec.engine.rules.load import Loaded, load_rules
from mockrec.engine.rules.model import Rule, Step, When


class RuleFiles:
    """A folder that holds `rules.yaml` and `files`, and an environment."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.env: dict[str, str] = {}
        self.read: list[str] = []

    def load(self, text: str | bytes) -> Loaded:
        data = text.encode() if isinstance(text, str) else text
        return load_rules(data, path="rules.yaml", folder="/rules", read_file=self._read, env=self.env)

    def problems(self, text: str | bytes) -> list[str]:
        """What is wrong with a file, each without the file's name."""
        with pytest.raises(RuleFileError) as caught:
            self.load(text)
        return [str(problem).removeprefix("rules.yaml:") for problem in caught.value.problems]

    def problem(self, text: str | bytes) -> str:
        """The only thing that is wrong."""
        (problem,) = self.problems(text)
        return problem

    def rule(self, text: str) -> Rule:
        """The only rule of a file, given as the rule's keys."""
        (rule,) = self.load(_file(text)).rule_file.rules
        return rule

    def when(self, text: str) -> When:
        return self.rule(f"when:\n{indent(text, '  ')}\nthen: close").when

    def when_problem(self, text: str) -> str:
        """The only problem of a `when`, from its place inside the `when` on."""
        problem = self.problem(_file(f"when:\n{indent(text, '  ')}\nthen: close"))
        return problem.partition(": ")[2].removeprefix("rules[0].when").removeprefix(".")

    def step(self, text: str) -> Step:
        """A single step that answers."""
        (step,) = self.rule(f"then:\n{indent(text, '  ')}").steps
        return step

    def first_step(self, text: str) -> Step:
        """A step that does not answer."""
        step, _ = self.rule(f"then:\n{indent(text, '  - ', lambda line: line is not None)}\n  - close").steps
        return step

    def step_problem(self, text: str) -> str:
        """The only problem of a step, from its place inside the `then` on."""
        problem = self.problem(_file(f"then:\n{indent(text, '  ')}"))
        return problem.partition(": ")[2].removeprefix("rules[0].then").removeprefix(".")

    def _read(self, path: str) -> bytes:
        self.read.append(path)
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return self.files[path]


def _file(rule: str) -> str:
    first, *rest = rule.splitlines()
    return "\n".join(["version: 1", "rules:", f"  - {first}", *(f"    {line}" for line in rest)])


@pytest.fixture
def rule_files() -> RuleFiles:
    return RuleFiles()
