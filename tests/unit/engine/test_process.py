"""File descriptors: how many connections they allow, and how many more can be had."""

from __future__ import annotations

import resource

import pytest

from mockrec.engine import process

ENDLESS = resource.RLIM_INFINITY


class System:
    """Limits of a process that does not exist."""

    def __init__(self, soft: int, hard: int) -> None:
        self.limits = (soft, hard)
        self.fails = False

    def set(self, _: int, limits: tuple[int, int]) -> None:
        if self.fails:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    made = System(1024, 4096)
    monkeypatch.setattr(resource, "getrlimit", lambda _: made.limits)
    monkeypatch.setattr(resource, "setrlimit", made.set)
    return made


@pytest.mark.parametrize(
    ("before", "connections", "after"),
    [
        ((1024, 1 << 20), 10_000, (20_064, 1 << 20)),
        ((1024, ENDLESS), 10_000, (20_064, ENDLESS)),
        ((1024, 4096), 10_000, (4096, 4096)),
        ((1024, 4096), 100, (1024, 4096)),
        ((ENDLESS, ENDLESS), 10_000, (ENDLESS, ENDLESS)),
    ],
)
def test_the_limit_is_raised_as_far_as_it_goes_and_never_lowered(
    system: System, before: tuple[int, int], connections: int, after: tuple[int, int]
) -> None:
    system.limits = before
    process.allow(connections)
    assert system.limits == after


def test_a_system_that_does_not_let_us(system: System) -> None:
    system.fails = True
    process.allow(10_000)
    assert system.limits == (1024, 4096)


@pytest.mark.parametrize(
    ("soft", "most"), [(1024, 480), (20_064, 10_000), (64, 16), (3, 1), (0, 1), (ENDLESS, process._NO_LIMIT)]
)
def test_each_client_may_have_a_server(system: System, soft: int, most: int) -> None:
    system.limits = (soft, soft)
    assert process.connections_that_fit() == most
