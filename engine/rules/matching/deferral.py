"""Deferred checks: matchers that could take long are answered outside of the selection.

A check whose work is bounded answers at once. One whose work is not (a long body, a pattern in Python's syntax, a JSON
Schema that refers to itself) returns None for a request with a `Deferral`, and adds its question to `wanted`. The
caller of the selection has the questions answered (by a helper process), puts the results into `answers`, and selects
again. Without a `Deferral` every check answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from mockrec.engine.rules.matching.request import RequestView

Check = Callable[["RequestView"], "bool | None"]

QUICK_BODY = 64 * 1024
"""Bytes of a decoded body up to which checks are not deferred: about a millisecond of work for the slowest."""


class Question(msgspec.Struct, frozen=True, eq=False):
    """One check that can be made elsewhere, as plain data."""

    key: str
    name: str | None
    expected: Any
    rule: str
    """The id of the rule, for messages."""

    @property
    def label(self) -> str:
        return self.key if self.name is None else f"{self.key}.{self.name}"


class Deferral:
    """The answered and the open questions about one request."""

    __slots__ = ("_fits", "answers", "wanted")

    def __init__(self, fits: Callable[[int], bool]) -> None:
        """`fits(n)`: whether the request's decoded body has at most `n` bytes, found with work in proportion to `n`."""
        self._fits = fits
        self.answers: dict[Question, bool] = {}
        self.wanted: list[Question] = []

    def fits(self, size: int) -> bool:
        return size > 0 and self._fits(size)

    def ask(self, question: Question) -> bool | None:
        """The answer to a question; if there is none yet, add the question to `wanted` and return None."""
        answer = self.answers.get(question)
        if answer is None and question not in self.wanted:
            self.wanted.append(question)
        return answer


def of_body(check: Check, quick: int, question: Question) -> Check:
    """`check`, deferred for bodies of more than `quick` bytes."""

    def check_or_defer(request: RequestView) -> bool | None:
        deferral = request.deferral
        if deferral is None or deferral.fits(quick):
            return check(request)
        return deferral.ask(question)

    return check_or_defer


def of_head(check: Check, quick: int, question: Question) -> Check:
    """`check`, deferred for heads of more than `quick` characters in the URL and the fields."""

    def check_or_defer(request: RequestView) -> bool | None:
        deferral = request.deferral
        if deferral is None or (quick and request.head_size <= quick):
            return check(request)
        return deferral.ask(question)

    return check_or_defer
