"""The number of processes: never more than a container may use."""

from __future__ import annotations

import pytest

from mockrec.formats.workers.cpus import processes, quota_of


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("150000 100000\n", 1),
        ("50000 100000\n", 1),
        ("400000 50000\n", 8),
        ("", None),
        ("max", None),
        ("-1 100000", None),
        ("100000 0", None),
    ],
)
def test_quota_of_a_container(text: str, cores: int | None) -> None:
    assert quota_of(text) == cores


def test_there_is_at_least_one_process() -> None:
    assert 1 <= processes() <= 4
