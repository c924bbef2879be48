"""Repairs and losses while another tool's HAR is read: counted by kind, reported once at the end.

A file may have the same flaw in each of a hundred thousand entries. So each kind is reported in one sentence with a
count and its first place. The exchanges are tagged, so that a filter finds all of them.
"""

from __future__ import annotations

from typing import Final

TAG: Final = "har-odd:"
"""Prefix of the kind in the tags of an exchange that was read from a repaired entry."""

_LONGEST = 80
"""Characters of a value that a message quotes."""

REPAIRED: Final = {
    "split-field": "header values with line breaks are several fields",
    "joined-cookies": "Set-Cookie values that were joined with commas are several fields",
    "folded-field": "folded header values are one line",
    "utf8-value": "header values that are not Latin-1 text are their UTF-8 bytes",
    "control-character": "control characters in header values and reasons are blanks",
    "padded-value": "blanks around header values are gone",
    "start-line": "request and status lines among the headers are dropped: method, URL and status say the same",
    "trimmed-name": "header names are without the blanks, controls and colons around them",
    "line-as-name": "whole header lines in a name are name and value",
    "pseudo-name": "pseudo-headers that lost the colon before them have it again",
    "cookie-as-name": "cookies that were cut at a colon are Set-Cookie fields",
    "length-form": "Content-Length fields with thousands separators are numbers",
    "no-field": "headers without name and value are dropped",
    "header-form": "headers in another form (an object, pairs, lists or numbers as values) are fields",
    "cookies-list": "cookies that no header names are Cookie and Set-Cookie fields",
    "redirect-url": "redirects that no header names are Location fields",
    "version": "unknown HTTP versions are read as HTTP/1.1",
    "content-type": "the type that only postData names is the Content-Type field",
    "status-form": "statuses in another form are numbers",
    "reason-form": "reasons with blanks around, a whole status line or other characters are as a status line has them",
    "date-form": "dates that are not ISO 8601 (epoch, RFC 1123) are moments",
    "no-zone": "dates without a zone are read as UTC",
    "no-date": "entries without a date are at the time of the one before",
    "relative-url": "relative URLs are made whole with the Host field, as http",
    "url-form": "URLs are as the recorder writes them: invalid characters percent-encoded, dot segments resolved",
    "query-list": "queries that only queryString has are part of the URL",
    "method-form": "blanks around methods are gone",
    "base64-form": "base64 that is wrapped, unpadded, url-safe or marked in another spelling is decoded",
    "no-base64": "texts that are declared as base64, but are not, are kept as they are",
    "unmarked-base64": "base64 that is not declared is decoded",
    "bytes-as-text": "binary bodies with a character for each byte are these bytes",
    "half-character": "lone surrogates are question marks",
    "body-form": "bodies in another form than a text (JSON, a bare string) are texts",
    "form-params": "bodies that only postData.params has are made of these",
    "boundary": "multipart types without a boundary have one",
    "unknown-coding": "Content-Encoding fields are dropped where the body is decoded and the coding is unknown",
}
"""Kind of repair → a sentence."""

MISSING: Final = {
    "redirect-body": "bodies of redirects are not in the file",
    "no-body": "bodies are not in the file; they have their size and are marked truncated",
}
"""Kind of data that the tool has not written (neither repaired nor lost here) → a sentence."""

LOST: Final = {
    "field": "headers that no message can hold are left out",
    "status": "invalid statuses are left out, and the exchange has no response",
    "attached": "attached files could not be read, and their bodies are marked truncated",
    "uploaded": "uploaded files are not in the HAR, and the requests' bodies are marked truncated",
    "message": "WebSocket messages that are not objects are left out",
}
"""Kind of loss → a sentence."""

_UNTAGGED: Final = frozenset({*MISSING, "no-zone"})
"""Kinds without a tag: the record itself shows them, or they do not concern a single exchange."""


class EntryRepairs:
    """Repairs and losses of one entry."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.found: dict[tuple[bool, str], tuple[int, str]] = {}
        """(True for a loss, kind) → (count, first place)."""

    def add(self, kind: str, place: str = "", detail: str = "") -> None:
        """Count a repair. `kind` is one of `REPAIRED` or `MISSING`, `place` the member of the entry, `detail` its
        value."""
        self._count(False, kind, place, detail)

    def add_lost(self, kind: str, place: str = "", detail: str = "") -> None:
        """Count a loss. `kind` is one of `LOST`; see `add`."""
        self._count(True, kind, place, detail)

    @property
    def tags(self) -> list[str]:
        """Tags for the records of the exchange."""
        kinds = dict.fromkeys(kind for _, kind in self.found)
        return [f"{TAG}{kind}" for kind in kinds if kind not in _UNTAGGED]

    def _count(self, lost: bool, kind: str, place: str, detail: str) -> None:
        earlier = self.found.get((lost, kind))
        if earlier is not None:
            self.found[lost, kind] = earlier[0] + 1, earlier[1]
            return
        first = f"{self._where}.{place}" if place else self._where
        if detail:
            shown = detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]}…"
            first += f": {ascii(shown) if not shown.isprintable() else shown}"
        self.found[lost, kind] = 1, first


class Repairs:
    """Repairs and losses of a file."""

    def __init__(self) -> None:
        self._found: dict[tuple[bool, str], tuple[int, str]] = {}

    def merge(self, entry: EntryRepairs) -> None:
        """Add those of an entry that became an exchange."""
        for key, (count, first) in entry.found.items():
            before = self._found.get(key)
            self._found[key] = (count, first) if before is None else (before[0] + count, before[1])

    def repaired(self) -> list[str]:
        """Return a sentence for each kind of repair, and for each kind of data that the tool has not written."""
        sentences: list[str] = []
        for (lost, kind), (count, first) in self._found.items():
            if not lost:
                what = f"missing: {MISSING[kind]}" if kind in MISSING else f"repaired: {REPAIRED[kind]}"
                sentences.append(_sentence(what, count, first))
        return sentences

    def lost(self) -> list[str]:
        """Return a sentence for each kind of loss."""
        return [_sentence(LOST[kind], *where) for (lost, kind), where in self._found.items() if lost]


def _sentence(what: str, count: int, first: str) -> str:
    return f"{what} ({count:,} time{'' if count == 1 else 's'}, first in {first})"
