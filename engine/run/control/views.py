"""An exchange as the control API shows it: one object with request and response, made of its records."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import FormatError
from mockrec.formats.schema.lenient import object_of

View = dict[str, Any]
MOST_BODY_BYTES: Final = 64 * 1024 * 1024
"""Bytes of bodies in one answer; those after that are left out, and marked."""
_HEAD = ("protocol", "httpVersion", "method", "url", "path", "headers", "rawHeaders", "remoteIpAddress", "tlsMetadata")
_STATUS = ("statusCode", "statusMessage", "headers", "rawHeaders")


class Views:
    """Makes the views of one answer."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._left = MOST_BODY_BYTES

    def exchange(self, records: Iterable[Mapping[str, Any]]) -> View:
        """Return an exchange that has ended."""
        view: View = {"id": "", "scope": None, "request": {}, "response": None, "duration": None, "rule": None}
        messages: list[View] = []
        for record in records:
            kind = record["type"]
            view["id"] = record["id"]
            view["scope"] = record.get("scope", view["scope"])
            view["rule"] = record.get("matchedRuleId", view["rule"])
            view["duration"] = record.get("duration", view["duration"])
            if "tags" in record:
                view["tags"] = record["tags"]
            if kind in ("request-initiated", "request", "websocket-request", "abort"):
                view["request"] |= _chosen(record, _HEAD)
            if kind in ("request", "websocket-request"):
                view["request"] |= self._body(record.get("body"))
            elif kind == "abort":
                self._abort(view, record)
            elif kind in ("response", "websocket-accepted"):
                view["response"] = _head_of_response(record) | self._body(record.get("body"))
            elif kind in ("websocket-message-received", "websocket-message-sent"):
                messages.append({"direction": record.get("direction"), **self._body(record.get("content"))})
            elif kind == "websocket-close":
                view["close"] = {"code": record.get("closeCode"), "reason": record.get("closeReason")}
        view["request"].setdefault("body", "")
        if messages:
            view["messages"] = messages
        return view

    def _abort(self, view: View, record: Mapping[str, Any]) -> None:
        view["aborted"] = True
        if record.get("error"):
            view["error"] = record["error"]
        if "requestBody" in record:
            view["request"] |= self._body(record["requestBody"])
        partial = object_of(record.get("response"))
        if partial:
            view["response"] = _head_of_response(partial) | self._body(partial.get("body"))

    def _body(self, recorded: Any) -> View:
        """Return a body as text, or as base64 if it is no text, and what is missing of it."""
        if not isinstance(recorded, Mapping):
            return {"body": ""}
        size = recorded.get("size", 0)
        view: View = {"body": "", "bodySize": size}
        if any(recorded.get(key) for key in ("truncated", "incomplete")):
            view["bodyTruncated"] = True
        try:
            body = Body.from_record(recorded, self._folder)
            text = body.inline_text
            data = b"" if text is not None else body.bytes
        except FormatError as error:
            return view | {"bodyTruncated": True, "bodyProblem": str(error)}
        self._left -= len(text) if text is not None else len(data)
        if self._left < 0:
            return view | {"bodyTruncated": True}
        if text is None:
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError:
                return view | {"bodyBase64": base64.b64encode(data).decode("ascii")}
        return view | {"body": text}


def _head_of_response(record: Mapping[str, Any]) -> View:
    return {"status": record.get("statusCode"), **_chosen(record, _STATUS)}


def _chosen(record: Mapping[str, Any], keys: Iterable[str]) -> View:
    return {key: record[key] for key in keys if key in record}
