"""Ignore rules, on the command line or in a file: each hides differences and counts them.

A rule is a selector, optionally after an endpoint: `GET /users/* json:$.meta.ts`. A rule that hid nothing is
reported, so that obsolete rules can be removed.
"""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from datetime import date
from fnmatch import translate
from typing import Any

from mockrec.formats.diff.model.exchange import Endpoint
from mockrec.formats.diff.model.finding import Subject
from mockrec.formats.diff.selectors import DiffSelector, parse_selector
from mockrec.formats.files.small_file import read_small
from mockrec.formats.schema.vocabulary import SelectorError

_RULE = re.compile(r"(?:(?P<endpoint>(?:[A-Z*]+ )?[^\s:]*/\S*) )?(?P<selector>.+)", re.DOTALL)
_MAX_DEPTH = 20
_KEYS = {"selector", "endpoint", "reason", "until"}


@dataclass
class IgnoreRule:
    """One ignore rule, and the number of findings that it hid."""

    selector: DiffSelector
    endpoint: str = ""
    """`[METHOD ][HOST]/PATH`, with `*`; "" for all endpoints."""
    reason: str = ""
    until: date | None = None
    """Last day on which the rule applies."""
    place: str = ""
    """File and number of the rule, or the option, for messages."""
    hidden: int = 0

    def __post_init__(self) -> None:
        self._pattern = _endpoint_pattern(self.endpoint) if self.endpoint else None
        if self.endpoint and self.selector.pattern:
            raise SelectorError(f"{self}: text: counts everywhere; leave the endpoint out")

    def __str__(self) -> str:
        return f"{self.endpoint} {self.selector.text}".strip()

    def covers(self, endpoint: Endpoint, method: str, path: str) -> bool:
        """True if the rule applies to this endpoint: its pattern matches the endpoint's template or the path."""
        if self._pattern is None:
            return True
        names = {f"{method} {endpoint.host}{shown}" for shown in (endpoint.template, path)}
        names |= {f"{method} {shown}" for shown in (endpoint.template, path)}
        if endpoint.operation:
            names |= {f"{name} {endpoint.operation}" for name in names}
        return any(self._pattern.fullmatch(name) for name in names)

    def hides(self, subject: Subject, endpoint: Endpoint, method: str, path: str) -> bool:
        """True if the rule hides a finding about this subject."""
        return self.selector.matches(subject) and self.covers(endpoint, method, path)


def _endpoint_pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob if " " in glob else f"* {glob}"))


def parse_rule(text: str) -> IgnoreRule:
    """Parse a rule of `--ignore`. Raises `SelectorError`."""
    match = _RULE.fullmatch(text.strip())
    if match is None:
        raise SelectorError(f"{text!r}: expected a selector, or an endpoint and a selector")
    return IgnoreRule(parse_selector(match["selector"]), match["endpoint"] or "", place="--ignore")


def read_rules(path: str, today: date) -> list[IgnoreRule]:
    """Read the rules of a file: `ignore:` with a list of `{selector, endpoint, reason, until}`; a reason is required.

    Raises `SelectorError` with the place of the error.
    """
    # Imported here: only an ignore file needs it.
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = read_small(path).decode("utf-8-sig")
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise SelectorError(f"{path}: aliases (`*name`) have no place in a list of rules")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise SelectorError(f"{path}: nested too deeply for a list of rules")
        content = yaml.load(text, Loader=loader)
    except OSError as error:
        raise SelectorError(f"{path}: {error.strerror or error}") from None
    except SelectorError:
        raise
    except Exception as error:  # yaml raises any exception for an invalid number or date
        raise SelectorError(f"{path}: not YAML: {error}") from None
    entries = content.get("ignore") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise SelectorError(f"{path}: expected `ignore:` and a list of rules")
    rules = [_entry(entry, f"{path}: rule {number}") for number, entry in enumerate(entries, 1)]
    return [rule for rule in rules if rule.until is None or today <= rule.until]


def _entry(entry: Any, place: str) -> IgnoreRule:
    if not isinstance(entry, dict):
        raise SelectorError(f"{place}: expected selector and reason, found {reprlib.repr(entry)}")
    if unknown := set(entry) - _KEYS:
        raise SelectorError(f"{place}: {sorted(map(str, unknown))[0]!r} is not known, only {', '.join(sorted(_KEYS))}")
    selector, reason, endpoint = (entry.get(key, "") for key in ("selector", "reason", "endpoint"))
    for key, value in (("selector", selector), ("reason", reason)):
        if not isinstance(value, str) or not value.strip():
            raise SelectorError(f"{place}: a {key} is needed")
    if not isinstance(endpoint, str):
        raise SelectorError(f"{place}: endpoint is a text such as GET /users/*")
    until = entry.get("until")
    if until is not None and not isinstance(until, date):
        raise SelectorError(f"{place}: until is a day such as 2030-12-31")
    try:
        return IgnoreRule(parse_selector(selector), endpoint, reason.strip(), until, place)
    except SelectorError as error:
        raise SelectorError(f"{place}: {error}") from None
