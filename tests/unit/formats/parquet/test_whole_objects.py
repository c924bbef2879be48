"""Objects of S3 in one request: only where the same store is asked with the same key, and pyarrow reads all others."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mockrec.formats.parquet.files_of_store import StoredFile
from mockrec.formats.parquet.whole_objects import ReadWhole, whole_reader

URI = "s3://bucket/ci?region=eu-west-1&scheme=http&endpoint_override=127.0.0.1%3A9000"
FILESYSTEM = SimpleNamespace(region="eu-west-1")


class Store:
    """Stands for obstore: `objects` by key; a key without an object fails."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.made: dict[str, Any] = {}

    def __call__(self, bucket: str, **options: Any) -> Store:
        self.made = {"bucket": bucket, **options}
        return self

    def get(self, store: Store, key: str) -> Any:
        assert store is self
        self.asked.append(key)
        return SimpleNamespace(bytes=lambda: self.objects[key])


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setitem(sys.modules, "obstore", SimpleNamespace(get=made.get))
    monkeypatch.setitem(sys.modules, "obstore.store", SimpleNamespace(S3Store=made))
    proxies = [name for name in os.environ if name.lower().endswith("_proxy")]
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", *proxies):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return made


def reader(uri: str = URI) -> ReadWhole | None:
    return whole_reader(uri, FILESYSTEM)


def test_the_store_of_the_uri_is_asked_with_the_key_of_the_environment(store: Store) -> None:
    store.objects["ci/a b.parquet"] = b"12345"
    read = reader()
    assert read is not None
    assert read("bucket/ci/a b.parquet", 5).to_pybytes() == b"12345"
    assert store.asked == ["ci/a b.parquet"]
    made = {name: store.made[name] for name in ("bucket", "region", "endpoint", "access_key_id", "secret_access_key")}
    assert list(made.values()) == ["bucket", "eu-west-1", "http://127.0.0.1:9000", "key", "secret"]
    assert "session_token" not in store.made


@pytest.mark.parametrize(
    "uri",
    ["gs://bucket/ci", "s3://other:key@bucket/ci", f"{URI}&allow_bucket_creation=true", "file:///bucket"],
)
def test_other_uris_are_read_by_pyarrow(store: Store, uri: str) -> None:
    assert reader(uri) is None


@pytest.mark.parametrize(
    "change",
    [
        "AWS_ENDPOINT_URL=http://elsewhere.test",
        "AWS_ACCESS_KEY_ID=",
        "HTTP_PROXY=http://proxy.test",
        "https_proxy=http://proxy.test",
        "ALL_PROXY=http://proxy.test",
    ],
)
def test_another_environment_is_that_of_pyarrow(store: Store, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setenv(*change.split("=", 1))
    assert reader() is None


def test_without_the_extra(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    assert reader() is None


def test_what_it_cannot_read_is_read_by_pyarrow(store: Store, tmp_path: Any) -> None:
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "x").write_bytes(b"12345")
    store.objects["short"] = b"1"
    read = reader()
    assert read is not None
    file = StoredFile(SubTreeFileSystem(str(tmp_path), LocalFileSystem()), "bucket/x", 5, read_whole=read)
    file.fetch()
    assert file.content.to_pybytes() == b"12345"
    assert read("bucket/short", 2) is None, "it has changed since it was listed"
    for _ in range(5):
        assert read("bucket/missing", 1) is None
    assert store.asked == ["x", "short", "missing", "missing"], "it is not tried again and again"
