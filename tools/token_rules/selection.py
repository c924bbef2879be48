"""Which rules of gitleaks are taken, and in what form.

A rule is taken if the token alone tells what it is: every token of its kind holds the same text (`ghp_`, `AKIA`) of
four characters or more, or of three with a sign among them, and beside that at least ten characters. Rules that need
the name of a service near the token lose that name if the token tells by itself (`NRAK-…`), and are left out if it
does not (32 hexadecimal digits): names are what `names.py` is for. What the rule says of the end of a token is
left out, since in HTTP a token may end at anything. What stands below is decided by hand, with its reason.

The form: a text of at least five characters with a sign in it is sure enough for tokens that are longer than today's,
or cut, to be found as a whole, so the last repetition has no end, and at most 32 as its least. Others have to have the
length that they have, and to stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from expressions import Unit, alternatives, python_syntax

KNOWN: Final = (
    *("anthropic-admin-api-key", "anthropic-api-key", "aws-access-token", "aws-amazon-bedrock-api-key-short-lived"),
    *("doppler-api-token", "gcp-api-key", "github-app-token", "github-fine-grained-pat", "github-oauth", "github-pat"),
    *("github-refresh-token", "gitlab-cicd-job-token", "gitlab-deploy-token", "gitlab-feature-flag-client-token"),
    *("gitlab-feed-token", "gitlab-incoming-mail-token", "gitlab-kubernetes-agent-token", "gitlab-oauth-app-secret"),
    *("gitlab-pat", "gitlab-pat-routable", "gitlab-ptt", "gitlab-runner-authentication-token"),
    *("gitlab-runner-authentication-token-routable", "gitlab-scim-token", "huggingface-access-token", "jwt"),
    *("notion-api-token", "npm-access-token", "openai-api-key", "private-key", "pypi-upload-token"),
    *("sendgrid-api-token", "sentry-org-token", "shopify-access-token", "shopify-custom-access-token"),
    *("shopify-private-app-access-token", "shopify-shared-secret", "slack-app-token", "slack-bot-token"),
    *("slack-config-access-token", "slack-config-refresh-token", "slack-legacy-bot-token", "slack-legacy-token"),
    *("slack-legacy-workspace-token", "slack-user-token", "square-access-token", "stripe-access-token"),
    *("telegram-bot-api-token", "twilio-api-key", "vault-batch-token", "vault-service-token"),
)
"""Rules of which `tokens.py` has a wider form, because tokens are longer or otherwise than these say."""
CODE: Final = r"s\."
"""An old form of one of them: `s.` and 24 letters are code as well."""
LEFT_OUT: Final = {
    "curl-auth-header": "a command line: found by its names",
    "curl-auth-user": "a command line",
    "dropbox-long-lived-api-token": "ten A are in the base64 of every file with a gap",
    "flutterwave-public-key": "public",
    "freemius-secret-key": "found by its name",
    "gitlab-session-cookie": "found by its name",
    "gocardless-api-token": "live_ and 40 letters or dashes are an identifier as well",
    "kubernetes-secret-yaml": "spans lines: found by its names",
    "mailgun-pub-key": "public",
    "mapbox-api-token": "public",
    "lob-pub-api-key": "public",
    "microsoft-teams-webhook": "a path that holds a secret: see redact_tokens.py",
    "new-relic-browser-api-token": "public: every page of a site has it",
    "nuget-config-password": "found by its name",
    "sidekiq-sensitive-url": "user and password of a URL are found in every URL",
    "slack-webhook-url": "a path that holds a secret: see redact_tokens.py",
    "twitter-bearer-token": "22 A are in the base64 of every file with a gap",
}
"""Rules of which nothing is taken."""
INSTEAD: Final = {
    # What may stand around it is no part of it.
    "azure-ad-client-secret": r"\b([a-zA-Z0-9_~.]{3}\dQ~[a-zA-Z0-9_~.-]{31,34})",
    # The base64 of `reft` begins words as well; the one of `reftkn:` does not.
    "artifactory-reference-token": r"\bcmVmdGtuO[A-Za-z0-9]{55}",
    # JSON begins with `{"`, which is `eyJ`.
    "jwt": r"\b(eyJ[a-zA-Z0-9]{16,}\.eyJ[a-zA-Z0-9_-]{16,}\.(?:[a-zA-Z0-9_-]{10,})?)",
    # EAAAA is the base64 of 16 as a 32-bit number, with which files begin.
    "square-access-token": r"\b((?:EAAA[B-Za-z0-9_-][\w-]{59}|sq0atp-[\w-]{22,60}))",
    # A dot that stood for any character.
    "slack-config-access-token": r"xoxe\.xox[bp]-\d-(?i)[A-Z0-9]{163,166}",
    # Without the name of the service, one character is too little to begin with.
    "yandex-access-token": r"\bt1\.[A-Z0-9a-z_-]{16,}[=]{0,2}\.[A-Z0-9a-z_-]{86}[=]{0,2}",
}
"""Expressions that are put in the place of those that the rules have."""
STRUCTURED: Final = ("azure-ad-client-secret", "airtable-personnal-access-token")
"""Those whose text is short, but of which everything else has such a form that it does not matter."""
WORDS: Final = ("lob-api-key",)
"""Those whose text is a word of other things as well, so that only their length tells them."""

_CONTEXT = re.compile(r"""^.*\[ \\t\\w\.-\]\{0,20\}\).*?\[\\x60'"\\s=\]\{0,5\}""", re.DOTALL)
_ENDS = (
    r"""(?:[\x60'"\s;]|\\[nr]|$)""",
    r"""(?:[\x60'"\s;]|\\[nr]|$|\b)""",
    r"(?:[^\w-]|\z)",
    r"(?:[^a-zA-Z0-9+/]|\z)",
)
_LEAST_TEXT, _SURE_TEXT = 3, 5
_LEAST_REST = 10
_MOST_LEAST = 32
_MOST_COUNTED = 64
"""A repetition that ends later than this costs more states than its end is worth."""
_BEGINNING, _LONG_BEGINNING = 4, 8
"""Characters behind the text that a beginning has, where the text is sure and where it is not."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A kind of token."""

    beginning: str
    """What is looked for everywhere: the text with a few characters. `\\b` at its beginning: where a word begins."""
    pattern: str
    """The whole of it; `\\b` as above."""
    shape: str
    """The whole of it as gitleaks says, for samples."""
    is_inner: bool = False
    """Whether its text stands behind other characters of the token."""


@dataclass(frozen=True, slots=True)
class Known:
    """A kind that is found without its rule."""

    shape: str
    """As above."""


def judged(rule: dict[str, Any]) -> list[Taken | Known | str]:
    """What is taken of a rule, one for each alternative, and why others are left out."""
    name, given = rule["id"], rule.get("regex", "")
    if name in LEFT_OUT:
        return [LEFT_OUT[name]]
    if not given:
        return ["about the names of files"]
    text = INSTEAD.get(name, given)
    for end in _ENDS:
        text = text.replace(end, "")
    if name in KNOWN:
        return [
            Known(shape)
            for one in _without_context(text)
            for units in alternatives(python_syntax(one))
            if not (shape := "".join(text_of(units))).startswith(CODE)
        ]
    found: list[Taken | Known | str] = []
    for one in _without_context(text):
        try:
            found += [_judged(name, variant, one) for variant in alternatives(python_syntax(one))]
        except ValueError as error:
            found.append(str(error))
    return found


def _without_context(text: str) -> list[str]:
    context = _CONTEXT.match(text)
    if context is None:
        return [text]
    token, bar, more = text[context.end() :].partition(r"|\b(")
    return [f"(?i){token}", *([rf"\b({more}"] if bar else [])]


def _judged(name: str, units: Sequence[Unit], source: str) -> Taken | str:
    anchor = _anchor(units, 1 if name in STRUCTURED else _LEAST_TEXT)
    if anchor is None:
        return "its tokens have no text in common: anything may look like them"
    first, end = anchor
    text = units[first:end]
    signs = any(not char.isalnum() for one in text for char in one.chars)
    length = sum(one.width for one in text)
    if not (length > _LEAST_TEXT or signs or name in STRUCTURED):
        return f"{''.join(one.text for one in text)} is in other words as well"
    if sum(one.width * one.least for one in units) - length < _LEAST_REST:
        return "too short to be told from other words"
    sure = length >= _SURE_TEXT and signs and name not in WORDS
    word = r"\b" if not sure or source.startswith((r"\b", r"(?i)\b")) else ""
    width = _BEGINNING if sure else _LONG_BEGINNING * (2 if name in STRUCTURED else 1)
    begun = "".join([*text_of(text), *_begun(units[end:], width)])
    pattern = "".join(one.written() for one in units[:end]) + "".join(_rest(units[end:], sure=sure))
    return Taken(
        f"{units[first - 1].text}{begun}" if first else f"{word}{begun}",
        f"{word}{pattern}",
        "".join(one.written() for one in units),
        first > 0,
    )


def text_of(units: Sequence[Unit]) -> list[str]:
    """Units as they are written."""
    return [one.written() for one in units]


def _anchor(units: Sequence[Unit], least: int) -> tuple[int, int] | None:
    """The first run of units that are the same text in every token."""
    start = 0
    while start < len(units):
        end = start
        while end < len(units) and units[end].is_fixed and units[end].least == units[end].most == 1:
            end += 1
        if sum(one.width for one in units[start:end]) >= least and end > start:
            return start, end
        start = max(end, start + 1)
    return None


def _begun(units: Sequence[Unit], width: int) -> list[str]:
    """The first so many characters of what follows."""
    begun: list[str] = []
    for one in units:
        if width <= 0:
            break
        if one.least < width and one.most is not None and one.least < one.most <= _MOST_COUNTED:
            begun.append(_encoded(one).written())
            width -= one.least * one.width
            continue
        least = min(one.least, width) if one.width == 1 else one.least
        begun += [_encoded(one).written(least, least)] if least else []
        if one.least != one.most:
            break
        width -= least * one.width
    return begun


def _rest(units: Sequence[Unit], *, sure: bool) -> list[str]:
    written: list[str] = []
    for index, one in enumerate(units):
        most = None if one.most is None or (one.least < one.most and one.most > _MOST_COUNTED) else one.most
        least = one.least
        is_last = index == len(units) - 1 or all(other.least == 0 for other in units[index + 1 :])
        if sure and is_last and one.most != 1:
            least, most = min(least, _MOST_LEAST), None
        written.append(_encoded(one).written(least, most))
    alone = units and units[-1].chars <= _ALNUM
    return [*written, *([] if sure or not alone else [r"\b"])]


def _encoded(unit: Unit) -> Unit:
    """The same, also where URLs write its signs as `%2B` and JSON its slash as `\\/`."""
    if unit.width != 1:
        return unit
    codes = [f"(?i:%{ord(sign):02X})" for sign in "+/=~" if sign in unit.chars]
    codes += [r"\\/"] if "/" in unit.chars else []
    return replace(unit, text=f"(?:{'|'.join([unit.text, *codes])})") if codes else unit


_ALNUM: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
