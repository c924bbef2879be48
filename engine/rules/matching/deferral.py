"""Matchers that are not asked at once, because they could take long: somebody else answers them meanwhile.

A matcher whose work is bounded answers at once. One whose work is not (a long body, a pattern in Python's syntax, a
JSON Schema that refers to itself) answers None where the request has a `Deferral`, and stands in its `wanted` then.
Who holds the request gets those answered, puts them into `answers`, and asks the rules again. Without a `Deferral`
every matcher answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockrec.engine.rules.matching.request import RequestView

Check = Callable[["RequestView"], "bool | None"]

QUICK_BODY = 64 * 1024
"""Bytes of a decoded body that matchers look at without being put off: about a millisecond of work for the slowest."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One matcher that can be asked elsewhere: what it is made of, as plain data."""

    key: str
    name: str | None
    expected: Any
    rule: str
    """The rule's id, for messages."""

    @property
    def label(self) -> str:
        return self.key if self.name is None else f"{self.key}.{self.name}"


class Deferral:
    """The answers to the questions of one request, and the questions that wait for one."""

    __slots__ = ("_fits", "answers", "wanted")

    def __init__(self, fits: Callable[[int], bool]) -> None:
        """`fits`: whether the request's decoded body has at most so many bytes, found out with that much work."""
        self._fits = fits
        self.answers: dict[Question, bool] = {}
        self.wanted: list[Question] = []

    def fits(self, size: int) -> bool:
        return size > 0 and self._fits(size)

    def ask(self, question: Question) -> bool | None:
        """The answer; None if there is none yet, which makes it wanted."""
        answer = self.answers.get(question)
        if answer is None and question not in self.wanted:
            self.wanted.append(question)
        return answer


def of_body(check: Check, quick: int, question: Question) -> Check:
    """`check`, put off where the body has more than `quick` bytes."""

    def check_or_defer(request: RequestView) -> bool | None:
        deferral = request.deferral
        if deferral is None or deferral.fits(quick):
            return check(request)
        return deferral.ask(question)

    return check_or_defer


def of_head(check: Check, quick: int, question: Question) -> Check:
    """`check`, put off where the URL and the fields of the head have more than `quick` characters."""

    def check_or_defer(request: RequestView) -> bool | None:
        deferral = request.deferral
        if deferral is None or (quick and request.head_size <= quick):
            return check(request)
        return deferral.ask(question)

    return check_or_defer
