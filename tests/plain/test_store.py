"""An object store: recorded to, read, converted to and from. The store is `tests/helpers/object_store.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from object_store import ObjectStore, object_store
from plain_install import PATHS, Run


@pytest.fixture(scope="session")
def mockrec(installed: Run) -> Run:
    """Not a copy: what the client of the store has started when it was imported is not there after a fork."""
    return installed


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store("sessions") as found:
        yield found


@pytest.mark.parametrize("name", ["s.parquet", "set/"])
def test_a_recording_goes_to_the_store(
    record: Callable[..., None],
    mockrec: Run,
    exchanges: Callable[..., Any],
    store: ObjectStore,
    tmp_path: Path,
    name: str,
) -> None:
    place = store.uri(f"sessions/run-1/{name}")
    record(tmp_path, place)
    assert [path for path, _ in exchanges(place)] == list(PATHS)
    assert f" records, {len(PATHS)} exchanges" in mockrec(tmp_path, "verify", place).stdout
    assert mockrec(tmp_path, "filter", place, "status >= 500", "--count").stdout == "1\n"
    assert f'"exchanges":{len(PATHS)}' in mockrec(tmp_path, "stats", place, "--json").stdout.replace(" ", "")
    mockrec(tmp_path, "filter", place, "-o", "back.jsonl")
    assert "no difference" in mockrec(tmp_path, "diff", place, "back.jsonl").stdout
    assert not list(tmp_path.glob("*.journal")), "the journal is gone when the objects are there"
    objects = [key for key in store.buckets["sessions"] if key.startswith(f"run-1/{name}") and key.endswith(".parquet")]
    assert len(objects) == (1 if name == "s.parquet" else 2)


@pytest.mark.parametrize("name", ["s.jsonl.zst", "s.har", "s.parquet"])
def test_a_session_is_converted_into_the_store(
    mockrec: Run, exchanges: Callable[..., Any], store: ObjectStore, recorded: Path, tmp_path: Path, name: str
) -> None:
    place = store.uri(f"sessions/from-{name}/s.parquet")
    mockrec(tmp_path, "filter", recorded / name, "-o", place)
    store.requests.clear()
    assert [path for path, _ in exchanges(place)] == list(PATHS)
    assert len(store.requests) < 12, "neighbouring columns are read at once"


def test_a_bucket_that_is_not_there(mockrec: Run, store: ObjectStore, tmp_path: Path) -> None:
    done = mockrec(tmp_path, "run", "--port", "0", "-o", store.uri("nowhere/s.parquet"), code=3)
    assert "nowhere" in done.stderr
