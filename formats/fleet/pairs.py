"""Sessions of two sets, paired by the keys of their folders: job, shard and scope."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from mockrec.formats.fleet.patterns import keys_of
from mockrec.formats.parquet.paths import is_uri

KEYS = ("job", "shard", "scope")
_EXTENSION = re.compile(r"(\.(jsonl|ndjson|json|har|parquet|gz|zst|mitm|flows?))+/?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SessionPair:
    """Two sessions to be compared, or one without a partner."""

    key: str
    """For people: `job=unit shard=2`, or a path if the folders have no such keys."""
    a: str | None
    b: str | None


def pair_sessions(a: Sequence[str], b: Sequence[str]) -> list[SessionPair]:
    """Return pairs in the order of their keys. Sessions of a side with equal keys are paired in the order of names."""
    sides = (_by_key(a), _by_key(b))
    pairs: list[SessionPair] = []
    for key in sorted({*sides[0], *sides[1]}):
        ours, theirs = sides[0].get(key, []), sides[1].get(key, [])
        for number in range(max(len(ours), len(theirs))):
            name = key if number == 0 else f"{key} ({number + 1})"
            pairs.append(
                SessionPair(
                    name,
                    ours[number] if number < len(ours) else None,
                    theirs[number] if number < len(theirs) else None,
                )
            )
    return pairs


def _by_key(sessions: Sequence[str]) -> dict[str, list[str]]:
    base = _common_folder(sessions)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for session in sorted(sessions):
        known = keys_of(session)
        words = [f"{name}={known[name]}" for name in KEYS if name in known]
        found[" ".join(words) if words else _EXTENSION.sub("", _bare(session)[len(base) :]).strip("/")].append(session)
    return dict(found)


def _bare(session: str) -> str:
    return session.partition("?")[0] if is_uri(session) else session


def _common_folder(sessions: Sequence[str]) -> str:
    folders = [_bare(session).rstrip("/").split("/")[:-1] for session in sessions]
    shared = list(takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False)))
    return "".join(f"{parts[0]}/" for parts in shared)
