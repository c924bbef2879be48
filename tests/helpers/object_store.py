"""An object store on loopback with the part of S3 that pyarrow's client uses. Needs the standard library only.

Objects are in memory. Requests are not authenticated: signatures are ignored.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from itertools import count
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_MODIFIED = 1_767_225_600  # of every object: 2026-01-01
_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)
_PART = re.compile(rb"<PartNumber>(\d+)</PartNumber>")


class ObjectStore(ThreadingHTTPServer):
    """`buckets[bucket][key]` is an object's bytes; `requests` has method and target of each answered request."""

    daemon_threads = True

    def __init__(self, *buckets: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.buckets: dict[str, dict[str, bytes]] = {bucket: {} for bucket in buckets}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.numbers = count(1)
        self.requests: list[str] = []
        self.port: int = self.server_address[1]

    def uri(self, path: str) -> str:
        """Return the URI of `bucket/key` for mockrec and pyarrow."""
        return f"s3://{path}?region=us-east-1&scheme=http&endpoint_override=127.0.0.1%3A{self.port}"


ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}
"""Environment variables of the process that uses the store."""


@contextmanager
def object_store(*buckets: str) -> Iterator[ObjectStore]:
    """Run a store with these empty buckets until the end of the block."""
    with ObjectStore(*buckets) as store:
        thread = threading.Thread(target=store.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together, or each waits for the client's acknowledgement
    server: ObjectStore

    def handle_expect_100(self) -> bool:
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def log_request(self, *_: object) -> None:
        self.server.requests.append(f"{self.command} {self.path}")

    def log_message(self, *_: object) -> None:
        pass

    def _target(self) -> tuple[dict[str, bytes] | None, str, dict[str, str]]:
        """Return the bucket's objects (None: no such bucket), the key, and the query."""
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return self.server.buckets.get(bucket), key, query

    def _content(self) -> bytes:
        """Return the body, decoded from `aws-chunked`: chunks with a signature each, or with a checksum after the last."""
        data = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else b""
        if "Transfer-Encoding" in self.headers:
            data = self._unchunked(self.rfile)
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            whole, rest = b"", data
            while rest:
                line, _, rest = rest.partition(b"\r\n")
                size = int(line.partition(b";")[0], 16)
                if not size:
                    break
                whole, rest = whole + rest[:size], rest[size + 2 :]
            data = whole
        return data

    @staticmethod
    def _unchunked(file: BufferedIOBase) -> bytes:
        found = b""
        while size := int(file.readline().partition(b";")[0], 16):
            found += file.read(size)
            file.readline()
        while file.readline() not in (b"\r\n", b""):
            pass
        return found

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a response; to HEAD without the body, but with its length."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _xml(self, text: str, status: int = 200) -> None:
        self._answer(status, f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode(), Content_Type="application/xml")

    def _missing(self, code: str) -> None:
        if self.command == "HEAD":
            self._answer(404)
        else:
            self._xml(f"<Error><Code>{code}</Code><Message>not there</Message></Error>", 404)

    def do_HEAD(self) -> None:
        objects, key, _ = self._target()
        if objects is None or (key and key not in objects):
            self._missing("NoSuchKey")
        elif not key:
            self._answer(200)
        else:
            data = objects[key]
            self._answer(200, data, ETag=_etag(data), Last_Modified=formatdate(_MODIFIED, usegmt=True))

    def do_GET(self) -> None:
        objects, key, query = self._target()
        if objects is None:
            self._missing("NoSuchBucket")
        elif not key:
            self._list(objects, query)
        elif key not in objects:
            self._missing("NoSuchKey")
        else:
            data, wanted = objects[key], re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            headers = {"ETag": _etag(data), "Last_Modified": formatdate(_MODIFIED, usegmt=True)}
            if wanted is None:
                self._answer(200, data, **headers)
                return
            start, end = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
            self._answer(206, data[start : end + 1], Content_Range=f"bytes {start}-{end}/{len(data)}", **headers)

    def _list(self, objects: dict[str, bytes], query: dict[str, str]) -> None:
        """Answer ListObjectsV2 with a single page."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        entries, folders = [], []
        for key, data in sorted(objects.items()):
            if not key.startswith(prefix):
                continue
            head, found, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
            if found:
                folders.append(prefix + head + delimiter)
            else:
                entries.append(
                    f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                    f"<ETag>{_etag(data)}</ETag><Size>{len(data)}</Size></Contents>"
                )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in dict.fromkeys(folders)
        )
        number = min(len(entries) + len(set(folders)), int(query.get("max-keys", "1000")))
        self._xml(
            f"<ListBucketResult {_NAMESPACE}><Prefix>{escape(prefix)}</Prefix><KeyCount>{number}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{''.join(entries)}{common}</ListBucketResult>"
        )

    def do_PUT(self) -> None:
        objects, key, query = self._target()
        data = self._content()
        if objects is None:
            self._missing("NoSuchBucket")
        elif "uploadId" in query:
            self.server.uploads[query["uploadId"]][int(query["partNumber"])] = data
            self._answer(200, ETag=_etag(data))
        else:
            objects[key] = data
            self._answer(200, ETag=_etag(data))

    def do_POST(self) -> None:
        objects, key, query = self._target()
        data = self._content()
        if objects is None:
            self._missing("NoSuchBucket")
        elif "uploads" in query:
            number = str(next(self.server.numbers))
            self.server.uploads[number] = {}
            self._xml(
                f"<InitiateMultipartUploadResult {_NAMESPACE}><Key>{escape(key)}</Key><UploadId>{number}</UploadId>"
                "</InitiateMultipartUploadResult>"
            )
        elif "uploadId" in query:
            parts = self.server.uploads.pop(query["uploadId"])
            objects[key] = b"".join(parts[int(number)] for number in _PART.findall(data))
            self._xml(
                f"<CompleteMultipartUploadResult {_NAMESPACE}><Key>{escape(key)}</Key><ETag>{_etag(objects[key])}</ETag>"
                "</CompleteMultipartUploadResult>"
            )
        else:  # DeleteObjects
            for name in _KEY.findall(data):
                objects.pop(name.decode(), None)
            self._xml(f"<DeleteResult {_NAMESPACE}/>")

    def do_DELETE(self) -> None:
        objects, key, query = self._target()
        if "uploadId" in query:
            self.server.uploads.pop(query["uploadId"], None)
        elif objects is not None:
            objects.pop(key, None)
        self._answer(204)


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
