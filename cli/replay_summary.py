"""The summary of sessions that were served: misses, and recordings that were never requested."""

from __future__ import annotations

from collections import Counter

from mockrec.cli import printing
from mockrec.cli.reading import warn_of
from mockrec.engine.replay.serve.cassettes import Replays

_TOLD = 20
_REMEDIES = 5
"""Most suggestions of options for requests without a recording."""


def print_replays(replays: Replays) -> None:
    """Print misses and unused recordings, a line each."""
    for cassette in replays.cassettes:
        name = printing.escape(cassette.path)
        if cassette.reading is not None:
            warn_of(cassette.reading)
        if cassette.missed:
            printing.warn(f"{name}: {printing.plural(cassette.missed, 'request')} without a recording:")
            _print_counted(cassette.misses)
            for options, count in cassette.remedies.most_common(_REMEDIES):
                printing.note(f"  with {printing.escape(options)}, {count} of them would match")
        if cassette.expired:
            count = cassette.expired.total()
            printing.warn(f"{name}: {printing.plural(count, 'request')} whose recording has expired:")
            _print_counted(cassette.expired)
        for counts, what in (
            (cassette.guesses, "an answer that may be meant for another request"),
            (cassette.changed, "an answer that is not quite the recorded one"),
        ):
            if counts:
                printing.warn(f"{name}: {printing.plural(counts.total(), 'request')} with {what}:")
                _print_counted(counts)
        if cassette.ignored:
            printing.note(
                f"{name}: recorded with other values, which are volatile by nature (--strict-match compares them):"
            )
            _print_counted(cassette.ignored)
        unused = cassette.unused_names()
        if unused:
            printing.note(f"{name}: {printing.plural(unused.total(), 'recording')} never asked for:")
            _print_counted(unused)


def replay_words(replays: Replays) -> list[str]:
    """Return misses and unused recordings in words, for --strict."""
    words = []
    if replays.missed:
        words.append(f"{printing.plural(replays.missed, 'request')} without a recording")
    expired = sum(cassette.expired.total() for cassette in replays.cassettes)
    if expired:
        words.append(f"{printing.plural(expired, 'request')} whose recording has expired")
    unused = sum(cassette.unused_count for cassette in replays.cassettes)
    if unused:
        words.append(f"{printing.plural(unused, 'recording')} never asked for")
    return words


def _print_counted(names: Counter[str]) -> None:
    for text, count in names.most_common(_TOLD):
        printing.note(f"  {printing.escape(text)}{f' ({count}×)' if count > 1 else ''}")
    if len(names) > _TOLD:
        printing.note(f"  and {len(names) - _TOLD} more")
