"""Content negotiation (RFC 9110, 12.5): how acceptable a recorded response is by `Accept` and `Accept-Language`."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_MOST: Final = 100
"""At most this many alternatives of one field are evaluated."""
_UNLISTED: Final = 0.0


@lru_cache(maxsize=1024)
def preferences(value: str) -> tuple[tuple[str, float], ...]:
    """Parse a field: `a;q=0.5, b` → `(("b", 1.0), ("a", 0.5))`.

    Names are in lower case, sorted by falling quality. Parameters other than `q` are part of the name.
    """
    found: list[tuple[str, float]] = []
    for piece in value.split(",")[:_MOST]:
        name, *parameters = (part.strip().lower() for part in piece.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = min(1.0, max(0.0, float(parameter[2:])))
                except ValueError:
                    pass
            elif parameter:
                name = f"{name};{parameter}"
        if name:
            found.append((name, quality))
    return tuple(sorted(found, key=lambda one: -one[1]))


def type_quality(accept: str, kind: str) -> float:
    """Return the quality of a content type, 0 to 1; the most specific range decides (RFC 9110, 12.5.1)."""
    kind = kind.lower().replace(" ", "")
    bare = kind.partition(";")[0]
    best = (-1, _UNLISTED)
    for name, quality in preferences(accept):
        wanted, _, parameters = name.partition(";")
        if wanted == "*/*" or wanted == "*":
            rank = 0
        elif wanted.endswith("/*"):
            rank = 1 if bare.startswith(wanted[:-1]) else -1
        elif wanted == bare or _suffix(wanted, bare):
            rank = 3 if parameters and parameters in kind else 2
        else:
            rank = -1
        if rank > best[0]:
            best = rank, quality
    return best[1] if best[0] >= 0 else _UNLISTED


def _suffix(wanted: str, bare: str) -> bool:
    """Return whether the types are equal but for a prefix of the suffix, as many servers treat them.

    `application/json` accepts `application/vnd.x+json`, and the reverse.
    """
    main, _, sub = bare.partition("/")
    wanted_main, _, wanted_sub = wanted.partition("/")
    return main == wanted_main and sub.rpartition("+")[2] == wanted_sub.rpartition("+")[2]


def language_quality(accept_language: str, languages: str) -> float:
    """Return the best quality of the languages of a response (`Content-Language`), 0 to 1 (RFC 4647, 3.3.1)."""
    best = (-1, _UNLISTED)
    for language in languages.lower().replace(" ", "").split(",")[:_MOST]:
        for name, quality in preferences(accept_language):
            if name == "*":
                rank = 0
            elif language == name or language.startswith(f"{name}-"):
                rank = 1 + len(name)
            elif name.startswith(f"{language}-"):
                rank = 1
            else:
                continue
            if rank > best[0]:
                best = rank, quality
    return best[1]


def first_language(accept_language: str) -> str:
    """Return the most preferred language, without its region."""
    wanted = preferences(accept_language)
    return wanted[0][0].partition("-")[0] if wanted else ""
