"""The endpoints of batches of URLs."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mockrec.formats.parquet import derived_columns
from mockrec.formats.parquet.derived_columns import Endpoints

_URLS = ["http://x.test/a/7", "http://x.test/a/8?b=/9", "none", "", None, "http://x.test", "http://x.test/a/7"]
_EXPECTED = ["/a/{id}", "/a/{id}", None, None, None, "/", "/a/{id}"]


@pytest.mark.parametrize("remembered", [65_536, 2])
def test_endpoints_are_the_same_in_every_batch(remembered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derived_columns, "_MOST_REMEMBERED", remembered)
    endpoints = Endpoints()
    urls = pa.array(_URLS, pa.string())
    for batch in (urls, urls.dictionary_encode(), urls.slice(2), pa.array([None], pa.string()), urls.slice(0, 0), urls):
        expected = dict(zip(_URLS, _EXPECTED, strict=True))
        assert endpoints.of(batch).to_pylist() == [expected[url] for url in batch.to_pylist()]
        assert endpoints.of(batch).type == pa.string()
