"""The step `reply` with a folder: the request's path names a file in it, and cannot name a file outside of it.

Each part of a path is opened relative to the folder before it, without following links, so that neither `..`, in
whatever spelling, nor a link that is created meanwhile leads out. Only plain files are found.
"""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Callable
from typing import BinaryIO, Final
from urllib.parse import unquote_to_bytes

import msgspec
from anyio import to_thread

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.model import HeaderPairs, Reply
from mockrec.engine.steps.failures import TEXT_TYPE, reply_failure, unsendable_head
from mockrec.engine.steps.plan import StepHandler

_PIECE: Final = 64 * 1024
_MOST_PARTS: Final = 64
"""Parts of a path: each is opened."""
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_TYPES: Final = mimetypes.MimeTypes()  # Python's own table, the same on every machine
for _type, _ending in (
    ("text/javascript", ".js"),
    ("text/javascript", ".mjs"),
    ("application/wasm", ".wasm"),
    ("image/webp", ".webp"),
    ("image/avif", ".avif"),
    ("font/woff2", ".woff2"),
    ("font/woff", ".woff"),
    ("application/manifest+json", ".webmanifest"),
    ("text/markdown", ".md"),
):
    _TYPES.add_type(_type, _ending)
_CODED: Final = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_UTF8: Final = ("application/json", "application/manifest+json", "image/svg+xml")


class NotThere(Exception):
    """The path names no file in the folder."""


class IsFolder(Exception):
    """The path names a folder, but does not end with a slash."""


class FoundFile(msgspec.Struct):
    """An open file."""

    file: BinaryIO
    name: str
    size: int
    modified: int
    """Seconds since the epoch."""
    tag: str
    """Its `ETag`."""


def folder_handler(step: Reply) -> StepHandler:
    """Respond to GET and HEAD with the files of a folder."""
    folder = step.body.folder
    assert folder is not None
    root = folder

    async def handle(exchange: Exchange) -> None:
        if exchange.effective_method not in ("GET", "HEAD"):
            await _say(exchange, 405, "only GET and HEAD are answered from a folder", (("Allow", "GET, HEAD"),))
            return
        path = exchange.view.path
        try:
            found = await to_thread.run_sync(open_in, root, path, step.prefix, step.index)
        except NotThere:
            await _say(exchange, 404, f"there is no such file: {path}")
        except IsFolder:
            await _say(exchange, 301, f"{path}/", (("Location", f"{path}/{exchange.view.query_string}"),))
        except OSError as error:
            await reply_failure(exchange, f"cannot read {path} of {root}: {error.strerror or error}")
        else:
            try:
                await _send(exchange, step, found)
            except ValueError as error:
                await unsendable_head(exchange, step.place, error)
            finally:
                found.file.close()

    return handle


async def _say(exchange: Exchange, status: int, text: str, headers: HeaderPairs = ()) -> None:
    await exchange.reply(PreparedResponse(status, (TEXT_TYPE, *headers), f"{text}\n".encode("utf-8", "replace")))


def open_in(root: str, path: str, prefix: str, index: str | None) -> FoundFile:
    """Open the file that a URL's path names. Raises NotThere, IsFolder, and OSError for a file that cannot be read."""
    if not path.startswith(prefix):
        raise NotThere
    rest = path[len(prefix) :]
    if rest and not rest.startswith("/"):
        raise NotThere  # /statics is not below /static
    rest = rest.removeprefix("/")
    parts = [] if not rest else rest.split("/")
    wants_folder = not parts or parts[-1] == ""
    if wants_folder:
        if not (parts or path.endswith("/")):
            raise IsFolder  # the prefix itself
        parts = parts[:-1]
    names = [_name(part) for part in parts]
    if len(names) > _MOST_PARTS:
        raise NotThere
    at = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for one in names:
            deeper = _open(one, at)
            os.close(at)
            at = deeper
        status = os.fstat(at)
        if stat.S_ISDIR(status.st_mode):
            if not wants_folder:
                raise IsFolder
            if index is None:
                raise NotThere
            deeper = _open(os.fsencode(index), at)
            os.close(at)
            at = deeper
            status = os.fstat(at)
        elif wants_folder:
            raise NotThere  # a file has nothing below it
        if not stat.S_ISREG(status.st_mode):
            raise NotThere
        shown = index if wants_folder and index is not None else os.fsdecode(names[-1])
        file = os.fdopen(at, "rb", buffering=0)
        at = -1
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        return FoundFile(file, shown, status.st_size, int(status.st_mtime), tag)
    finally:
        if at >= 0:
            os.close(at)


def _name(part: str) -> bytes:
    """The file name that a part of a path stands for. Raises NotThere for one that no file can have."""
    name = unquote_to_bytes(part)
    if name in (b"", b".", b"..") or any(mark in name for mark in (b"/", b"\\", b"\0")) or len(name) > 255:
        raise NotThere
    return name


def _open(name: bytes, at: int) -> int:
    """Open a file or folder in an open folder. Raises NotThere, and OSError if it cannot be read."""
    try:
        return os.open(name, _FLAGS, dir_fd=at)
    except (FileNotFoundError, NotADirectoryError):
        raise NotThere from None
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        raise NotThere from None  # a link (ELOOP), a socket (ENXIO), a name that is too long


async def _send(exchange: Exchange, step: Reply, found: FoundFile) -> None:
    """Respond with a file, a part of it, or 304. Raises ValueError for a head that cannot be sent."""
    from email.utils import formatdate

    own = {name.lower() for name, _ in step.headers}
    fields = [
        ("Content-Type", content_type(found.name)),
        ("ETag", found.tag),
        ("Last-Modified", formatdate(found.modified, usegmt=True)),
        ("Accept-Ranges", "bytes"),
    ]
    headers = (*step.headers, *(pair for pair in fields if pair[0].lower() not in own))
    ask = lambda name: ", ".join(exchange.view.header_values(name))  # noqa: E731
    if is_fresh(ask, found):
        kept = tuple(pair for pair in headers if pair[0].lower() not in ("content-type", "accept-ranges"))
        await exchange.reply(PreparedResponse(304, kept))
        return
    part = wanted_range(ask, found) if exchange.effective_method == "GET" else None
    if part is None:
        await _send_bytes(exchange, PreparedResponse(200, headers), found, 0, found.size)
    elif part == (0, 0):
        await exchange.reply(PreparedResponse(416, (*step.headers, ("Content-Range", f"bytes */{found.size}"))))
    else:
        start, end = part
        content_range = ("Content-Range", f"bytes {start}-{end - 1}/{found.size}")
        await _send_bytes(exchange, PreparedResponse(206, (*headers, content_range)), found, start, end)


async def _send_bytes(exchange: Exchange, response: PreparedResponse, found: FoundFile, start: int, end: int) -> None:
    if exchange.channel.bodiless:
        await exchange.begin(response, end - start)
        await exchange.finish()
        return
    found.file.seek(start)
    left = end - start
    data = await to_thread.run_sync(found.file.read, min(_PIECE, left)) if left else b""
    if len(data) == left:
        response.body = data
        await exchange.reply(response)
        return
    await exchange.begin(response, left)
    while data:
        await exchange.send(data)
        left -= len(data)
        data = await to_thread.run_sync(found.file.read, min(_PIECE, left)) if left else b""
    if left:
        exchange.abort({"name": "AbortError", "code": "E_RULE_FILE", "message": f"{found.name} became shorter"})
        exchange.channel.close()
        return
    await exchange.finish()


def content_type(name: str) -> str:
    """The content type of a file by its name; text is UTF-8."""
    kind, coding = _TYPES.guess_type(f"x/{name}")
    if coding is not None:
        return _CODED.get(coding, "application/octet-stream")
    if kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind in _UTF8 else kind


def is_fresh(ask: Callable[[str], str], found: FoundFile) -> bool:
    """Whether the client's copy is current (RFC 9110, 13.1.2 and 13.1.3). `ask` returns the value of a field."""
    if tags := ask("if-none-match"):
        known = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return "*" in known or found.tag in known
    since = _seconds(ask("if-modified-since"))
    return since is not None and found.modified <= since


def wanted_range(ask: Callable[[str], str], found: FoundFile) -> tuple[int, int] | None:
    """The range of bytes that a request asks for, as start and end (exclusive); (0, 0) if the file has none of them,
    and None for the whole file, also for several ranges, which a server may ignore (RFC 9110, 14.2)."""
    unit, _, text = ask("range").partition("=")
    if unit.strip().lower() != "bytes" or "," in text or "-" not in text:
        return None
    if condition := ask("if-range"):
        since = _seconds(condition)
        if condition != found.tag and (since is None or since != found.modified):
            return None
    first, _, last = (piece.strip() for piece in text.partition("-"))
    if not all(one.isascii() and (one.isdigit() or not one) and len(one) < 20 for one in (first, last)):
        return None
    if not first:
        if not last:
            return None
        start, end = max(0, found.size - int(last)), found.size
    else:
        start, end = int(first), min(found.size, int(last) + 1) if last else found.size
        if last and int(last) < int(first):
            return None
    return (start, end) if start < end else (0, 0)


def _seconds(date: str) -> int | None:
    from email.utils import parsedate_to_datetime

    try:
        return int(parsedate_to_datetime(date).timestamp()) if date else None
    except (TypeError, ValueError, OverflowError):
        return None
