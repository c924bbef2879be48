"""Reads small objects of S3 in one request each, by the library `obstore` (extra `mockrec[s3]`).

pyarrow asks for the size of an object first, although a listing has given it, so it takes two requests. obstore is used
only where it certainly asks the same store with the same key: the key is in the environment, there is no proxy, and the
URI has no option that it does not know. Whatever it cannot read is read by pyarrow, whose errors are reported.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

ReadWhole = Callable[[str, int], Any]
"""Called with a path (`bucket/key`) and a size; returns a buffer of pyarrow, or None if the object cannot be read."""

_KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_OPTIONS = frozenset({"region", "scheme", "endpoint_override"})
_OTHER_PLACES = "AWS_ENDPOINT"
"""Variables that begin with this name other servers."""
_PROXIES = frozenset({"http", "https", "all"})
"""With one of these, obstore asks a proxy, and pyarrow does not. It may be the recorder itself."""
_TIMEOUT = timedelta(seconds=30)
_FAILURES = 3
"""The number of errors after which it is not tried again."""


def whole_reader(uri: str, filesystem: Any) -> ReadWhole | None:
    """Return the reader for objects of a bucket; None if pyarrow has to read them."""
    # Imported here: only stores need it, and it takes as long as a tenth of a start.
    from urllib.request import getproxies

    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query))
    if (
        parts.scheme != "s3"
        or "@" in parts.netloc
        or not options.keys() <= _OPTIONS
        or not all(os.environ.get(name) for name in _KEY)
        or any(name.startswith(_OTHER_PLACES) for name in os.environ)
        or not _PROXIES.isdisjoint(getproxies())
    ):
        return None
    try:
        # Imported here: it is an extra.
        from obstore.store import S3Store
    except ImportError:
        return None
    config: dict[str, Any] = dict(zip(("access_key_id", "secret_access_key"), map(os.environ.get, _KEY), strict=True))
    if token := os.environ.get("AWS_SESSION_TOKEN"):
        config["session_token"] = token
    scheme = options.get("scheme", "https")
    if host := options.get("endpoint_override"):
        config["endpoint"] = f"{scheme}://{host}"
    try:
        store = S3Store(
            parts.netloc,
            region=filesystem.region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": scheme == "http", "timeout": _TIMEOUT, "connect_timeout": _TIMEOUT},
            retry_config={"max_retries": 2, "retry_timeout": _TIMEOUT},
            **config,
        )
    except Exception:  # of many kinds; pyarrow reads the objects, too
        return None
    return _Objects(store, parts.netloc).read


class _Objects:
    """The objects of one bucket. Called by several threads."""

    def __init__(self, store: Any, bucket: str) -> None:
        self._store = store
        self._start = f"{bucket}/"
        self._failures = 0

    def read(self, path: str, size: int) -> Any:
        """See `ReadWhole`."""
        import obstore
        import pyarrow as pa

        if self._failures >= _FAILURES or not path.startswith(self._start):
            return None
        try:
            content = pa.py_buffer(obstore.get(self._store, path.removeprefix(self._start)).bytes())
        except Exception:  # of many kinds; pyarrow reports it
            self._failures += 1
            return None
        return content if content.size == size else None
