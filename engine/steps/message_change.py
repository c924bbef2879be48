"""One change of the body of a message, request or response."""

from __future__ import annotations

from collections.abc import Sequence

from anyio import to_thread

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import BodyChange
from mockrec.engine.steps.offloaded import changes_quickly, in_helper
from mockrec.engine.steps.reply import JSON_TYPE
from mockrec.engine.steps.transform import TransformError, changed_body
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.formats.files.small_file import BODY_LIMIT, read_small

Fields = Sequence[Sequence[str]]


async def body_after(
    exchange: Exchange,
    body: bytes,
    encoding: str,
    fields: Fields,
    change: BodyChange,
    upstream_client: UpstreamClient,
    place: str,
) -> bytes:
    """The body after a change, in the content coding that its head will name (`fields`). `encoding` is the present one.

    `place` is the side of the step, for messages to the user. Raises TransformError and TooLong.
    """
    resulting = ", ".join(value for name, value in fields if name.lower() == "content-encoding")
    data = None
    if change.file is not None:
        try:
            data = await to_thread.run_sync(read_small, change.file, BODY_LIMIT)
        except OSError as error:
            raise TransformError(f"cannot read {change.file}: {error.strerror or error}") from None
    arguments = body, encoding, resulting, change, upstream_client.body_limit, data
    if upstream_client.helpers is None or changes_quickly(change, len(body), is_coded=bool(encoding or resulting)):
        return changed_body(*arguments)
    return await in_helper(exchange, upstream_client.helpers, change.key, place, changed_body, *arguments)


def with_type(fields: list[list[str]], change: BodyChange) -> list[list[str]]:
    """The fields with the content type of JSON, if the new body is JSON and the message names no type."""
    if change.is_json and not any(name.lower() == "content-type" for name, _ in fields):
        return [*fields, [*JSON_TYPE]]
    return fields


def too_long(what: str, size: int, limit: int) -> str:
    """Why a body of this size cannot be changed."""
    return (
        f"the {what} has {'at least ' if what == 'response' else ''}{size} bytes; a rule can change bodies of up to"
        f" {limit} (record.maxBodySize, at least 10 MiB)"
    )
