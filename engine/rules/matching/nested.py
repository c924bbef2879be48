"""Checks of matchers that combine sets of matchers: functions from the check of each set to the check."""

from __future__ import annotations

from mockrec.engine.rules.matching.deferral import Check
from mockrec.engine.rules.matching.request import RequestView


def not_check(checks: tuple[Check, ...]) -> Check:
    """A check that is True where the only set does not match."""
    (check,) = checks

    def check_not(request: RequestView) -> bool | None:
        params = request.params
        answer = check(request)
        request.params = params  # a match that counts against the rule gives no values
        return None if answer is None else not answer

    return check_not


def any_of_check(checks: tuple[Check, ...]) -> Check:
    """A check that is True where one of the sets matches; parameters are those of the first that does."""

    def check_any(request: RequestView) -> bool | None:
        unknown = False
        for check in checks:
            params = request.params
            answer = check(request)
            if answer:
                return True
            request.params = params
            unknown = unknown or answer is None
        return None if unknown else False

    return check_any
