"""Redaction: secrets in records become placeholders before anything is written, shown or given to callbacks. Only the
log is changed, never the traffic.

Most records hold no secret, so one expression searches each record first, and heads that clients and rules repeat are
searched once (see `recording/record_cache.py`). Only a record in which that expression matches is searched field by
field.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from copy import copy
from functools import partial
from typing import Any

import orjson

from mockrec.engine.redaction.backlog import AT_ONCE, Backlog, Later, TooMuch, completed
from mockrec.engine.redaction.bodies import redacted_body
from mockrec.engine.redaction.finder import SecretFinder
from mockrec.engine.redaction.grpc_bodies import LongMessageError, redacted_grpc
from mockrec.engine.redaction.holdback import HoldBack
from mockrec.engine.redaction.patterns import Patterns
from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.records import RecordRedactor, side_of
from mockrec.engine.redaction.secret_map import SHORTEST_KNOWN, SecretMap
from mockrec.engine.redaction.secret_scope import DetachedScope, SecretScope
from mockrec.engine.redaction.substitution import SecretReplacer
from mockrec.engine.redaction.wide_text import coding_of, decoded, encoded
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.operations.grpc.media import grpc_kind
from mockrec.formats.schema.body import encode_body

Record = dict[str, Any]

KEY_VARIABLE = "MOCKREC_REDACT_KEY"


class Redactor:
    """Redacts records, bodies and texts of one session."""

    def __init__(self, policy: Policy, placeholders: Placeholders, values: Iterable[str] = ()) -> None:
        """`values` are secret wherever they appear: the environment variables that a rule file uses."""
        self.count = 0
        """Secrets that were replaced."""
        self.most: int | None = None
        """Bytes of the longest record or body with secrets that is redacted; for a longer one, `TooMuch` is raised."""
        self._policy = policy
        self._placeholders = placeholders
        self._patterns = Patterns(policy.names)
        self._find = self._patterns.any.search
        self.looks_everywhere = bool(policy.texts)
        """Whether every text has to be searched: an expression of the policy may match anything."""
        self._session = SecretMap()
        self.remember_values(values)

    @classmethod
    def of(
        cls, setting: object, environment: Mapping[str, str], values: Iterable[str] = (), key: bytes | None = None
    ) -> Redactor | None:
        """Make the redactor that `record.redact` asks for: `default`, `none` (returns None), or a mapping with `add`
        and `keep`. Raises ValueError.

        `key` makes the placeholders if the environment has no key; without both, the key is random.
        """
        if setting == "none":
            return None
        given = setting if isinstance(setting, Mapping) else {}
        passphrase = environment.get(KEY_VARIABLE)
        placeholders = Placeholders.from_passphrase(passphrase) if passphrase else Placeholders(key or os.urandom(32))
        return cls(Policy(given.get("add", ()), given.get("keep", ())), placeholders, values)

    def remember_values(self, values: Iterable[str]) -> None:
        """Replace these values too, wherever they appear in the session."""
        found = SecretMap()
        for value in values:
            if len(value) >= SHORTEST_KNOWN and not self._policy.keeps_value(value, ""):
                found.add((value,), self._placeholders.of(value))
        self._session = self._session.joined(found)

    def unbounded(self) -> Redactor:
        """Return a copy for another thread: without a limit of size, and with a count of its own."""
        other = copy(self)
        other.count, other.most = 0, None
        return other

    def placeholder(self, value: str) -> str:
        """Return the placeholder that stands for a value in this session."""
        return self._placeholders.of(value)

    @property
    def description(self) -> Record:
        """The redaction in force, as the first record of the session describes it."""
        return {"mode": "default", "keyId": self._placeholders.key_id, **self._policy.description}

    # ── records ────────────────────────────────────────────────────────────────────────────────────

    def record(
        self, record: Record, owner: SecretScope | None = None, side: str | None = None, line: bytes | None = None
    ) -> Record:
        """Redact a record, or a part of one; return the same object if it holds no secret. `owner` remembers the
        secrets that are found, and those that it knows are replaced too. `line` is its encoded form, if the caller has
        it. Raises TooMuch."""
        known = owner.known if owner is not None else None
        if line is None:
            line = encode_lines((record,))
        if not (self.looks_everywhere or self._find(line) or b'"base64":"' in line or b"\\u0000" in line):
            return record if known is None else self._replace_known(record, line, known)
        self._check(line)
        return self._redacted(record, line, owner, known, side)

    def _check(self, data: bytes) -> None:
        if self.most is not None and len(data) > self.most:
            raise TooMuch

    def _redacted(
        self, record: Record, line: bytes, owner: SecretScope | None, known: SecretMap | None, side: str | None
    ) -> Record:
        found = SecretMap()
        plain = orjson.loads(line)
        side = side_of(plain) if side is None else side
        redacted = RecordRedactor(self._finder(found, side), self._recorded_body, partial(self._finder, found)).record(
            plain
        )
        self.count += found.count
        everything = found if known is None else known.joined(found)
        if everything:
            redacted = self._replace_known(redacted, encode_lines((redacted,)), everything)
        if owner is not None and found:
            owner.remember(found)
        return record if redacted == plain else redacted

    def replace_known(self, record: Record, known: SecretMap) -> Record:
        """Replace the known secrets in a record that has been searched already. Raises TooMuch."""
        return self._replace_known(record, encode_lines((record,)), known)

    def _replace_known(self, record: Record, line: bytes, known: SecretMap) -> Record:
        if not known.occurs_in_line(line):
            return record
        self._check(line)
        return self._replaced(line, known)

    def _replaced(self, line: bytes, known: SecretMap) -> Record:
        """Return the record of a line, whatever its length is, without the known secrets."""
        replacer = SecretReplacer(known)
        redacted = replacer.record(orjson.loads(line))
        self.count += replacer.count
        return redacted

    def head(self, head: Record, side: str, line: bytes | None = None) -> tuple[Record, SecretMap | None]:
        """Redact a head that will be part of several records; return it with the secrets found. They are not counted
        here, but with each record. `line`: see `record`."""
        scope, before, most = DetachedScope(), self.count, self.most
        self.most = None  # a head is no longer than `limits` allow
        redacted = self.record(head, scope, side, line)
        self.most = most
        found, count, self.count = scope.known, self.count - before, before
        if count and found is None:
            found = SecretMap()  # its secrets are too short to be replaced elsewhere
        if found is not None:
            found.count = count
        return redacted, found

    @property
    def session(self) -> SecretMap:
        """The values that are secret in the whole session: another object when others have joined them."""
        return self._session

    @property
    def holds_values(self) -> bool:
        """Whether any value is secret in the whole session."""
        return bool(self._session)

    def lines(self, lines: bytes) -> bytes:
        """Replace the values that are secret in the whole session in encoded lines of the log."""
        session = self._session
        if not session.occurs_in_line(lines):
            return lines
        # Long lines too: what was added to a batch cannot be left to a thread.
        return b"".join(
            [
                encode_lines((self._replaced(line, session),)) if session.occurs_in_line(line) else line
                for line in lines.splitlines(keepends=True)
            ]
        )

    # ── bodies and texts ───────────────────────────────────────────────────────────────────────────

    def body(self, data: bytes, content_type: str, side: str, owner: SecretScope | None, coding: str = "") -> bytes:
        """Redact a body, or the part of it that is recorded; return the same object if it holds no secret. `coding` is
        that of the whole body if `data` is a piece, from which it cannot be detected. Raises TooMuch."""
        coding = coding or coding_of(data, is_whole=False)
        if coding:
            text, rest = decoded(data, coding)
            redacted = self._bytes(text, content_type, side, owner)
            redacted_rest = self._bytes(rest, content_type, side, owner) if rest else rest
            if redacted is text and redacted_rest is rest:
                return data
            return encoded(redacted, coding) + redacted_rest
        return self._bytes(data, content_type, side, owner)

    def _bytes(self, data: bytes, content_type: str, side: str, owner: SecretScope | None) -> bytes:
        kind = grpc_kind(content_type)
        if kind is not None:
            self._check(data)
            most = None if self.most is None else 4 * self.most
            try:
                return redacted_grpc(data, kind, lambda part: self._part(part, side, owner), most)
            except LongMessageError:
                raise TooMuch from None
        known = owner.known if owner is not None else None
        if self.is_plain(data, known):
            return data
        self._check(data)
        return self._searched(data, content_type, side, owner)

    def _searched(self, data: bytes, content_type: str, side: str, owner: SecretScope | None) -> bytes:
        """Search bytes that may hold secrets."""
        known = owner.known if owner is not None else None
        found = SecretMap()
        redacted = redacted_body(data, content_type, self._finder(found, side), self._policy)
        for secrets in (known, found, self._session):
            if secrets:
                replacer = SecretReplacer(secrets)
                redacted = replacer.data(redacted)
                if secrets is found:
                    found.count += replacer.count
                else:
                    self.count += replacer.count
        self.count += found.count
        if owner is not None and found:
            owner.remember(found)
        return data if redacted == data else redacted

    def _part(self, data: bytes, side: str, owner: SecretScope | None) -> bytes:
        """Redact a value inside of a body, whose whole size was checked."""
        known = owner.known if owner is not None else None
        return data if self.is_plain(data, known) else self._searched(data, "", side, owner)

    def leaves(self, data: bytes) -> bool:
        """Return whether `body` returns these bytes as they are, whatever message they belong to."""
        return not coding_of(data, is_whole=False) and self.is_plain(data, None)

    def is_plain(self, data: bytes, known: SecretMap | None) -> bool:
        """Return whether bytes (UTF-8, if they are text) hold nothing that may be secret: `body` returns them as they
        are."""
        if self.looks_everywhere or self._policy.paths or self._find(data):
            return False
        return not (self._session.occurs(data) or (known is not None and known.occurs(data)))

    @property
    def needs_whole(self) -> bool:
        """Whether bodies cannot be redacted in pieces: `json:` paths need the whole document."""
        return bool(self._policy.paths or self._policy.kept_paths)

    def hold(self) -> HoldBack:
        """Return the buffer for a body whose pieces are redacted one by one."""
        return HoldBack(self._patterns.any, lambda: self._session.placeholders)

    def text(self, text: str, owner: SecretScope | None = None) -> str:
        """Redact a message for the terminal."""
        known = owner.known if owner is not None else None
        text = self._finder(SecretMap(), "").string(text)
        text = SecretReplacer(self._session).text(text)
        return text if known is None else SecretReplacer(known).text(text)

    def _finder(self, found: SecretMap, side: str) -> SecretFinder:
        return SecretFinder(self._policy, self._placeholders, self._patterns, found, side)

    def _recorded_body(self, body: Record, content_type: str, finder: SecretFinder) -> Record:
        """Redact a body that has the log's form already."""
        text = body.get("text")
        try:
            data = text.encode() if isinstance(text, str) else base64.b64decode(body["base64"], validate=True)
        except (ValueError, TypeError, KeyError):
            return body
        coding = coding_of(data)
        utf8 = data.decode(coding).encode() if coding else data
        redacted = redacted_body(utf8, content_type, finder, self._policy)
        if redacted == utf8:
            return body
        return replaced_body(body, redacted.decode().encode(coding) if coding else redacted)


def replaced_body(body: Record, data: bytes) -> Record:
    """Return a body of the log with redacted bytes. Its wire bytes and its digest would reveal the secrets: they go."""
    kept = {key: item for key, item in body.items() if key not in ("text", "base64", "raw", "sha256")}
    form = encode_body(data)
    form.pop("size")
    return {"size": kept.pop("size"), **form, **kept, "redacted": True}


class RedactingLog:
    """A log that redacts the records that belong to no exchange."""

    def __init__(self, add: Any, flush: Any, redactor: Redactor, bodies: Any, backlog: Backlog) -> None:
        """`bodies` makes the parts of records that are `Later`."""
        self._add = add
        self._redactor = redactor
        self._bodies = bodies
        self._backlog = backlog
        self.waiting = 0
        self.flush = flush

    def add(self, record: Record) -> None:
        """Redact a record and add it to the log, after the records that wait in the backlog."""
        if not self.waiting and not isinstance(record.get("content"), Later):
            try:
                redacted = self._redactor.record(record)
            except TooMuch:
                pass
            else:
                self._add(redacted)
                return
        redactor = self._redactor.unbounded()
        bodies = self._bodies.unbounded(redactor)
        self._backlog.put(
            self,
            lambda: redactor.record(completed(record, bodies)),
            lambda redacted: self._late(redacted, redactor, bodies),
            AT_ONCE,
        )

    def _late(self, record: Record, redactor: Redactor, bodies: Any) -> None:
        self._redactor.count += redactor.count
        self._bodies.truncated += bodies.truncated
        self._add(record)
