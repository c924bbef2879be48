"""Columns that follow from a URL, for whole columns of URLs: each different one is looked at once."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.parquet import arrays
from mockrec.formats.text.endpoints import endpoint_of

_MOST_REMEMBERED = 65_536


class Endpoints:
    """The endpoints of batches of URLs. Each different URL is asked once, whatever batch it is in."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._urls = arrays.texts(())
        self._of_url = arrays.integers(())
        """The number of each URL's endpoint."""
        self._numbers: dict[str | None, int] = {None: 0}

    def of(self, urls: pa.Array) -> pa.Array:
        """`endpoint_of` each URL; null for null, and for a text that is no URL."""
        encoded = urls if pa.types.is_dictionary(urls.type) else urls.dictionary_encode()
        used = pc.unique(encoded.indices).drop_null()
        texts = encoded.dictionary.take(used)
        numbers = self._numbers_of(texts).take(pc.index_in(encoded.indices, value_set=used))
        names = arrays.texts(name or "" for name in self._numbers)
        known = pc.if_else(
            arrays.flags(name is None for name in self._numbers), pa.nulls(len(names), pa.string()), names
        )
        return known.take(numbers)

    def _numbers_of(self, texts: pa.Array) -> pa.Array:
        if len(self._urls) > _MOST_REMEMBERED:
            self._forget()
        places = pc.index_in(texts, value_set=self._urls)
        if places.null_count:
            more = texts.filter(pc.is_null(places))
            found = [
                self._numbers.setdefault(None if url is None else endpoint_of(url), len(self._numbers))
                for url in more.to_pylist()
            ]
            self._urls = pa.concat_arrays([self._urls, more])
            self._of_url = pa.concat_arrays([self._of_url, arrays.integers(found)])
            places = pc.index_in(texts, value_set=self._urls)
        return self._of_url.take(places)
