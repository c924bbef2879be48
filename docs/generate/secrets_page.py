"""The page of what is secret by default: names, and tokens that are recognised without one."""

from __future__ import annotations

from words import page, table

from mockrec.engine.redaction import names, tokens
from mockrec.engine.redaction import token_rules as gitleaks

_NAMES = (
    ("last word", "the last word of a name", names.WORDS),
    ("last two words", "the last two words, together or apart", tuple(" ".join(pair) for pair in names.PAIRS)),
    ("ending", "the last word ends so", names.ENDINGS),
    ("field", "the whole name, in queries and forms alone", names.FIELDS),
)


def text() -> str:
    """The page."""
    about = "What `record.redact: default` replaces. How and where: [Secrets](../redaction.md)."
    rows = [(what, meaning, ", ".join(f"`{one}`" for one in sorted(given))) for what, meaning, given in _NAMES]
    kinds = [(f"`{name}`", source) for name, source in sorted(known_kinds().items())]
    return page(
        "What is secret",
        about,
        "## Names\n\n" + table(("by", "means", "secret are"), rows),
        "## Tokens\n\nKinds that are found anywhere in a message. Those of gitleaks are made of its rules "
        "(MIT licence, see LICENSES/gitleaks.txt).\n\n" + table(("kind", "known from"), kinds),
    )


def known_kinds() -> dict[str, str]:
    """Every kind, and where it is known from."""
    ours = dict.fromkeys(tokens.KINDS, "mockrec")
    theirs = {name: "gitleaks" for name, _, _ in (*gitleaks.RULES, *gitleaks.INNER_RULES)}
    return theirs | ours
