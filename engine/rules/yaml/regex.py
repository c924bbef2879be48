"""Regular expressions of the rule language: a text in RE2's syntax, or a mapping with its `syntax`."""

from __future__ import annotations

from typing import Any, Final

from mockrec.engine.rules.patterns import PythonRegex, check_regex
from mockrec.engine.rules.yaml.containers import ByKind, Named
from mockrec.engine.rules.yaml.nodes import ScalarNode
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.strings import RegexType
from mockrec.engine.rules.yaml.types import Enum, Str
from mockrec.formats.text.regex import RegexError

SYNTAX: Final = Key(
    Enum("re2", "python"),
    "Whose syntax the expression has: RE2's (re2), or that of Python's `re`, which a helper runs with a time limit.",
)
REGEX_KEYS: Final[dict[str, Key]] = {
    "regex": Key(Str(), "A regular expression that is found in it."),
    "syntax": SYNTAX,
}
"""`regex` and its `syntax`, for mappings with further keys; `regex_values` combines the two."""


def regex_values(given: ParsedMapping) -> dict[str, Any]:
    """The given values, with `regex` and `syntax` combined into a text or a PythonRegex. Raises Rejected."""
    values = dict(given.values)
    syntax = values.pop("syntax", "re2")
    if "regex" not in values:
        if "syntax" in given:
            raise given.reject("syntax", "is the syntax of a regular expression; give the key regex too")
        return values
    pattern = PythonRegex(values["regex"]) if syntax == "python" else values["regex"]
    try:
        check_regex(pattern)
    except RegexError as error:
        node = given.nodes["regex"]
        # The error may quote the text, and a variable's value may be a secret.
        hidden = isinstance(node, ScalarNode) and "${" in node.text
        raise given.reject("regex", "not a regular expression" if hidden else str(error)) from None
    return {**values, "regex": pattern}


REGEX: Final = Named("regularExpression", lambda: _REGEX, "a regular expression, or a mapping with its syntax")
_REGEX: Final[ByKind] = ByKind(
    scalar=RegexType(),
    mapping=Record(
        {"regex": Key(Str(), "The regular expression.", required=True), "syntax": SYNTAX},
        lambda given: regex_values(given)["regex"],
    ),
)
