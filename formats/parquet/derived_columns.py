"""Columns that follow from a URL, for whole columns of URLs: each different one is looked at once."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.parquet import arrays
from mockrec.formats.text.endpoints import endpoint_of

_endpoint_of = lru_cache(maxsize=16_384)(endpoint_of)


def endpoints(urls: pa.Array) -> pa.Array:
    """`endpoint_of` each URL; null for null, and for a text that is no URL."""
    encoded = urls if pa.types.is_dictionary(urls.type) else urls.dictionary_encode()
    found = [None if url is None else _endpoint_of(url) for url in encoded.dictionary.to_pylist()]
    names = arrays.texts(name or "" for name in found)
    missing = arrays.flags(name is None for name in found)
    return pc.if_else(missing, pa.nulls(len(names), pa.string()), names).take(encoded.indices)
