"""The page of rule-file keys, generated from the JSON Schema of the rule language."""

from __future__ import annotations

import json
import re
from typing import Any

from words import cell, page, sentence, table

from mockrec.engine.rules.language.load import json_schema

Schema = dict[str, Any]

_ABOUT = """
The keys of a rule file. Their use, with examples, is described in [The rule file](../rules.md), [Recording real
servers](../proxy.md) and [TLS interception](../tls.md); a default stands in brackets at the end of a meaning.
`${NAME}` is allowed in every value. *Text* is any plain scalar, taken as written; a *duration* is `100ms`,
`2s`, `1m`, `1h` or `0`; a *size* is `64KiB`, `10MB` or a number of bytes; *headers* are a mapping of names to texts
or lists of texts, or a list of pairs.
"""
_TITLES = {
    "rule": "rules[]",
    "when": "when",
    "regularExpression": "regular expression",
    "expectedText": "expected text",
    "expectedValue": "expected value",
    "step": "then",
}
_LEADS = {
    "regular expression": "Text, an expression of RE2, or a mapping:",
    "expected text": "Text, a list of texts (each must be there), or a mapping:",
    "expected value": "A value, a list, or a mapping:",
}
_REF = "#/$defs/"
_SHORTER = (
    ("duration", "duration", "`0`"),
    ("size", "whole number, at least 0", "size"),
    ("headers", "list of pair of name and value", "mapping of names to text or list of text"),
)
"""A short name → the kinds of values that it replaces together."""


def text() -> str:
    """The page: the file, its settings, rules, matchers, steps; each mapping is a chapter."""
    return page("Keys of the rule file", _ABOUT, *_Page(json_schema()).parts)


class _Page:
    """The chapters; a mapping that the language uses several times has one."""

    def __init__(self, schema: Schema) -> None:
        self.parts: list[str] = []
        self._known: dict[str, str] = {}
        defs = schema["$defs"]
        for name, title in _TITLES.items():
            for found in [defs[name], *_records(defs[name])] if name != "step" else []:
                self._known[_identity(found)] = title
        self._chapter("the file", schema)
        for name, title in _TITLES.items():
            if name != "step":
                self._chapter(title, *_records(defs[name]))
                continue
            self._steps(title, defs[name])

    def _steps(self, title: str, schema: Schema) -> None:
        (steps,) = [part for part in schema["anyOf"] if "properties" in part]
        (bare,) = [part["enum"] for part in schema["anyOf"] if "enum" in part]
        about = "One step, or a list of them; only the last answers. A step is a mapping with its name as the only key."
        self.parts += [f"## {title}", about]
        place = len(self.parts)
        for name, step in steps["properties"].items():
            self._add(f"{title} {name}", step)
        rows = []
        for name, step in steps["properties"].items():
            records = _records(step)
            link = f"[`{name}`](#{_slug(self._known[_identity(records[0])])})" if records else f"`{name}`"
            options = "none needed" if name in bare else self._kind(step, f"{title} {name}")
            rows.append((link, options, sentence(step["description"])))
        self.parts.insert(place, table(("step", "options", "what it does"), rows))

    def _add(self, title: str, schema: Schema) -> None:
        """Add the chapters of the mappings in a value that have none yet."""
        for record in _records(schema):
            if _identity(record) not in self._known:
                self._known[_identity(record)] = title
                self._chapter(title, record)

    def _chapter(self, title: str, schema: Schema) -> None:
        required = schema.get("required", ())
        rows = []
        for name, value in schema["properties"].items():
            kind = self._kind(value, _below(title, name, value))
            rows.append((f"`{name}`", kind, "yes" if name in required else "", _about(value)))
        keys = table(("key", "value", "required", "meaning"), rows)
        self.parts += [f"## {title}", _LEADS.get(title, ""), keys, *_groups(schema)]
        for name, value in schema["properties"].items():
            self._add(_below(title, name, value), value)

    def _kind(self, schema: Schema, title: str) -> str:
        """The valid values, in words."""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(_REF)
            return f"[{_TITLES[name]}](#{_slug(_TITLES[name])})" if name in _TITLES else ""
        if "anyOf" in schema and "type" not in schema:
            words = list(dict.fromkeys(self._kind(part, title) for part in schema["anyOf"]))
            for instead, *of in _SHORTER:
                if set(of) <= set(words):
                    words = [instead if word == of[0] else word for word in words if word not in of[1:]]
            return " or ".join(word for word in words if word)
        if "enum" in schema:
            if "request-initiated" in schema["enum"]:
                return "an [event type](events.md)"
            words = [f"`{json.dumps(word).strip(chr(34))}`" for word in schema["enum"]]
            return ", ".join(words if len(words) <= 12 else [*words[:3], "…"])
        if "const" in schema:
            return f"`{json.dumps(schema['const'])}`"
        kinds = schema.get("type", [])
        if kinds == "array":
            if "prefixItems" in schema:
                return "pair of name and value"
            item = self._kind(schema.get("items", {}), title)
            return f"list of {item}"
        if "properties" in schema:
            known = self._known.get(_identity(schema), title)
            return f"[mapping](#{_slug(known)})"
        if kinds == "object":
            return f"mapping of names to {self._kind(schema['additionalProperties'], title)}"
        return _scalar(schema, kinds)


def _scalar(schema: Schema, kinds: str | list[str]) -> str:
    pattern = schema.get("pattern", "")
    if "ms|s|m|h" in pattern:
        return "duration"
    if "[kKmMgG]" in pattern:
        return "size"
    if kinds in ("integer", "number"):
        low, high = schema.get("minimum"), schema.get("maximum")
        while low is not None and low in schema.get("not", {}).get("enum", ()):
            low += 1
        number = "whole number" if kinds == "integer" else "number"
        if low is not None and high is not None:
            return f"{low}–{high}" if low < high else f"`{low}`"
        return number if low is None else f"{number}, at least {low}"
    if kinds == "boolean":
        return "`true` or `false`"
    if kinds == "null":
        return ""
    if not kinds:
        return "any data"
    return "text" if "string" in kinds and "object" not in kinds else "text or mapping"


def _about(schema: Schema) -> str:
    return sentence(schema.get("description", ""))


def _below(title: str, name: str, schema: Schema) -> str:
    """The title of a mapping inside a key: `server.timeouts`, `then script[]`."""
    below = name if title == "the file" else f"{title} {name}" if title == "then" else f"{title}.{name}"
    if _list_of(schema):
        below += "[]"
    elif isinstance(schema.get("additionalProperties"), dict):
        below += ".NAME"
    return below


def _list_of(schema: Schema) -> bool:
    return schema.get("type") == "array" or any(part.get("type") == "array" for part in schema.get("anyOf", ()))


def _records(schema: Schema) -> list[Schema]:
    """The mappings with known keys that a value may be, or may contain."""
    if "properties" in schema:
        return [schema]
    inner = [*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties")]
    return [found for part in inner if isinstance(part, dict) for found in _records(part)]


def _identity(schema: Schema) -> str:
    return json.dumps({key: value for key, value in schema.items() if key not in ("description", "type")})


def _groups(schema: Schema) -> list[str]:
    """The groups of keys of which at most one, or at least one, has to be given."""
    lines = []
    for condition in schema.get("allOf", ()):
        lists = condition.get("anyOf") or condition["not"]["anyOf"]
        names = dict.fromkeys(name for part in lists for name in part["required"])
        word = "At least" if "anyOf" in condition else "At most"
        lines.append(f"{word} one of {', '.join(f'`{name}`' for name in names)}.")
    return lines


def _slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", cell(title).lower()).replace(" ", "-")
