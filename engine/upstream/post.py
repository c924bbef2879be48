"""One POST on a connection of its own, with h11 over anyio."""

from __future__ import annotations

import ssl
from urllib.parse import SplitResult, urlsplit

import anyio
import h11
from anyio.abc import ByteStream, SocketAttribute

_SECONDS = 10.0
_JSON = "application/json"


class PostError(Exception):
    """A post was not answered. `code` is an errno's name where there is one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


Ends = tuple[str, int, int]
"""Our address and port, and the other side's port, of a connection."""


async def post(url: str, body: bytes, own: set[Ends]) -> int:
    """Post JSON; the status of the answer, whose body is not read.

    While the connection lasts, its ends are in `own`. Raises PostError.
    """
    split = urlsplit(url)
    is_tls = split.scheme == "https"
    host = split.hostname or ""
    try:
        with anyio.fail_after(_SECONDS):
            stream = await anyio.connect_tcp(host, split.port or (443 if is_tls else 80))
            async with stream:
                local = stream.extra(SocketAttribute.local_address)
                end = (str(local[0]), int(local[1]), int(stream.extra(SocketAttribute.remote_address)[1]))
                own.add(end)
                try:
                    return await _exchange(await _secured(stream, host) if is_tls else stream, split, body)
                finally:
                    own.discard(end)
    except TimeoutError:
        raise PostError(f"no answer within {_SECONDS:g}s", "ETIMEDOUT") from None
    except h11.RemoteProtocolError as error:
        raise PostError(f"the answer is not HTTP: {error}") from None
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        raise PostError("the connection was closed before an answer", "ECONNRESET") from None
    except (OSError, ssl.SSLError) as error:
        cause = _first_cause(error)
        raise PostError(cause.strerror or str(cause), _errno_name(cause)) from None


async def _secured(stream: ByteStream, host: str) -> ByteStream:
    from anyio.streams.tls import TLSStream

    return await TLSStream.wrap(stream, hostname=host, server_side=False, standard_compatible=False)


async def _exchange(stream: ByteStream, split: SplitResult, body: bytes) -> int:
    path = split.path or "/"
    query = split.query
    headers = [
        ("Host", split.netloc.rpartition("@")[2]),
        ("Content-Type", _JSON),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    connection = h11.Connection(h11.CLIENT)
    head = h11.Request(method="POST", target=f"{path}?{query}" if query else path, headers=headers)
    parts = [connection.send(event) or b"" for event in (head, h11.Data(data=body), h11.EndOfMessage())]
    await stream.send(b"".join(parts))
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            try:
                connection.receive_data(await stream.receive())
            except anyio.EndOfStream:
                connection.receive_data(b"")
        elif isinstance(event, h11.Response):
            return event.status_code
        elif isinstance(event, h11.ConnectionClosed):
            raise anyio.EndOfStream


def _first_cause(error: OSError) -> OSError:
    """What the system said: anyio tries every address of a name, and raises an error of its own over theirs."""
    cause: BaseException | None = error.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause if isinstance(cause, OSError) else error


def _errno_name(error: OSError) -> str:
    import errno

    return errno.errorcode.get(error.errno or 0, "")
