"""What fuzzing has found stays mended, its seeds are good, and a short run of each target finds nothing.

Long runs are `python tests/fuzz/run.py`; what they find they put into `tests/fuzz/corpus/`.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from random import Random

import fuzz_run
import fuzz_target
import pytest
from fuzz_mutate import MOST, Mutator
from fuzz_target import CORPUS, Hang, Target, time_limit

TARGETS = [*fuzz_run.TARGETS.values()]
CHANGES = 400
each = pytest.mark.parametrize("target", TARGETS, ids=lambda target: str(target.name))


@each
def test_seeds_and_findings(target: Target) -> None:
    for data in [*target.seeds, *target.found]:
        target.try_one(data)


@each
def test_changes_of_them(target: Target) -> None:
    chance = Random(7)
    mutator = Mutator(chance, target.tokens, target.most)
    with time_limit(20.0) as begin:
        for _ in range(CHANGES):
            begin()
            target.try_one(mutator.changed(chance.choice(target.seeds), chance.choice(target.seeds)))


def test_the_corpus_belongs_to_targets() -> None:
    folders = {path.name for path in CORPUS.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert folders <= {target.name for target in TARGETS}


def test_the_mutator_follows_from_its_chances() -> None:
    def run(seed: int) -> list[bytes]:
        mutator = Mutator(Random(seed), [b"token"])
        return [mutator.changed(b"GET / HTTP/1.1\r\n", b"other") for _ in range(200)]

    assert run(1) == run(1) != run(2)
    assert max(map(len, run(1))) <= MOST


def _for_ever() -> None:
    while True:
        pass


def test_a_hang_is_noticed() -> None:
    with time_limit(0.05) as begin:
        begin()
        with pytest.raises(Hang):
            _for_ever()


def test_the_runner_keeps_what_it_finds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:

    def broken(data: bytes, chance: Random) -> None:
        assert b"!" not in data, "no exclamation"

    monkeypatch.setattr(fuzz_run, "CORPUS", tmp_path)
    monkeypatch.setattr(fuzz_target, "CORPUS", tmp_path)
    target = Target("broken", broken, [b"a", b"b!"])
    assert fuzz_run.fuzz(target, 5.0, 300, 1) == 1
    (kept,) = target.found
    assert b"!" in kept


def test_the_runner_knows_all_targets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["run.py", "--inputs", "20", "--seed", "3"])
    assert fuzz_run.main() == 0
    told = capsys.readouterr().out
    assert all(f"{target.name}: 20 inputs" in told for target in TARGETS)
