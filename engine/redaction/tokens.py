"""Secrets that are recognised without a name: tokens with known prefixes, private keys, paths that contain a secret,
OAuth codes.

There are two expressions. The one that searches every text (`beginnings`, part of `Patterns.any`) contains only the
beginnings; the one that finds the ends is compiled when the first text contains a beginning. Both are RE2's, so their
time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import msgspec
import re2

from mockrec.engine.redaction.token_rules import INNER_RULES as MORE_INNER_RULES
from mockrec.engine.redaction.token_rules import RULES as MORE_RULES

_CLASS = "[0-9A-Za-z_-]"
_PEM_TEXT = r"[^\"'<>&{}]"
"""A character of a PEM key, also escaped for JSON and URLs; not one that ends a string, an element, or a form field."""

RULES: Final = (
    ("putty-private-key", r"PuTTY-User-Key-File-[0-9]", rf"PuTTY-User-Key-File-[0-9]{_PEM_TEXT}*"),
    ("age-secret-key-pq", r"AGE-SECRET-KEY-PQ-1[0-9A-Z]{5}", r"AGE-SECRET-KEY-PQ-1[0-9A-Z]{32,}"),
    ("anthropic", r"\bsk-ant-[0-9A-Za-z_-]{8}", r"\bsk-ant-[0-9A-Za-z_-]{20,}"),
    ("atlassian", r"\bAT(?:ATT|CTT|BBT)3[0-9A-Za-z_=-]{8}", r"\bAT(?:ATT|CTT|BBT)3[0-9A-Za-z_=-]{50,}"),
    ("aws-access-key", r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{8}", r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"),
    (
        "aws-session-token",
        r"\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz|AgoJb3JpZ2lu)",
        r"\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz|AgoJb3JpZ2lu)(?:[0-9A-Za-z+/=_-]|(?i:%2B|%2F|%3D)|\\/){60,}",
    ),
    ("aws-bedrock", r"bedrock-api-key-[0-9A-Za-z+/%\\]{5}", r"bedrock-api-key-(?:[0-9A-Za-z+/=_-]|(?i:%2B|%2F|%3D)|\\/){16,}"),
    ("bitbucket", r"\bATBB[0-9A-Za-z]{8}", r"\bATBB[0-9A-Za-z]{32,}"),
    ("buildkite", r"\bbk(?:ua|pi|ot|aj|ct|sa|rt)_[0-9a-f]{8}", r"\bbk(?:ua|pi|ot|aj|ct|sa|rt)_[0-9a-f]{40,}"),
    ("circleci", r"\bCCIP(?:AT|RJ)_[0-9A-Za-z]{5}", r"\bCCIP(?:AT|RJ)_[0-9A-Za-z]{16,}_[0-9a-f]{20,}"),
    ("cloudflare", r"\bcf(?:k|ut|at)_[0-9A-Za-z]{8}", r"\bcf(?:k|ut|at)_[0-9A-Za-z_-]{40,}"),
    ("crates.io", r"\bcio[0-9A-Za-z]{32}", r"\bcio[0-9A-Za-z]{32}\b"),
    ("docker", r"\bdckr_(?:pat|oat)_[0-9A-Za-z_-]{5}", r"\bdckr_(?:pat|oat)_[0-9A-Za-z_-]{20,}"),
    ("doppler", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[0-9A-Za-z]", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.(?:[0-9a-z_-]{2,35}\.)?[0-9A-Za-z]{40,}"),
    ("figma", r"\bfig[dour]_[0-9A-Za-z_-]{8}", r"\bfig[dour]_[0-9A-Za-z_-]{40,}"),
    ("github", r"\b(?:gh[pousr]_|github_pat_)[0-9A-Za-z_]{8}", r"\b(?:gh[pousr]_|github_pat_)[0-9A-Za-z_-]{20,}(?:\.[0-9A-Za-z_-]{4,})*"),
    (
        "gitlab",
        r"\bgl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct)-[0-9A-Za-z_-]{5}",
        r"\bgl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct)-[0-9A-Za-z_-]{16,}(?:\.[0-9A-Za-z_-]{2,})*",
    ),
    ("google-api-key", r"\bAIza[0-9A-Za-z_-]{8}", r"\bAIza[0-9A-Za-z_-]{35}"),
    ("google-oauth", r"\b(?:ya29\.[0-9A-Za-z_-]{5}|GOCSPX-[0-9A-Za-z_-]{5})", r"\b(?:ya29\.|GOCSPX-)[0-9A-Za-z_.-]{20,}"),
    ("google-refresh", r"\b1(?://|\\/\\/|%2[Ff]%2[Ff])0[0-9A-Za-z_-]{8}", r"\b1(?://|\\/\\/|%2[Ff]%2[Ff])0[0-9A-Za-z_-]{40,}"),
    ("google-hmac", r"\bGOOG(?:1E)?[0-9A-Z]{20}", r"\bGOOG(?:1E)?[0-9A-Z]{20,}\b"),
    ("groq", r"\bgsk_[0-9A-Za-z]{8}", r"\bgsk_[0-9A-Za-z]{40,}"),
    ("hashicorp-vault", r"\bhv[sbr]\.[0-9A-Za-z_-]{8}", r"\bhv[sbr]\.[0-9A-Za-z_-]{24,}"),
    ("huggingface", r"\bhf_[0-9A-Za-z]{8}", r"\bhf_[0-9A-Za-z]{30,}"),
    ("langsmith", r"\blsv2_(?:pt|sk)_[0-9a-f]{5}", r"\blsv2_(?:pt|sk)_[0-9a-f]{32,}(?:_[0-9a-f]{10})?"),
    ("linear-oauth", r"\blin_oauth_[0-9A-Za-z]{5}", r"\blin_oauth_[0-9A-Za-z]{32,}"),
    ("netlify", r"\bnf[pcoub]_[0-9A-Za-z]{8}", r"\bnf[pcoub]_[0-9A-Za-z]{36,}"),
    ("notion", r"\b(?:ntn|secret)_[0-9A-Za-z]{8}", r"\b(?:ntn_[0-9A-Za-z]{40,}|secret_[0-9A-Za-z]{43}\b)"),
    ("npm", r"\b(?i:npm)_[0-9A-Za-z]{8}", r"\b(?i:npm)_[0-9A-Za-z]{30,}"),
    (
        "openai",
        r"\bsk-(?:(?:proj|svcacct|admin|or|lf|litellm)-[0-9A-Za-z_-]{16}|[0-9A-Za-z]{20})",
        r"\bsk-(?:(?:proj|svcacct|admin|or|lf|litellm)-[0-9A-Za-z_-]{20,}|[0-9A-Za-z]{20,}\b)",
    ),
    ("paypal-braintree", r"\baccess_token(?:\$|%24)", r"\baccess_token(?:\$|%24)(?:production|sandbox)(?:\$|%24)[0-9a-z]{16}(?:\$|%24)[0-9a-f]{32}"),
    ("postman-collection", r"\bPMAT-[0-9A-Z]{8}", r"\bPMAT-[0-9A-Z]{26,}"),
    ("pypi", r"\bpypi-[0-9A-Za-z_-]{8}", r"\bpypi-[0-9A-Za-z_-]{50,}"),
    ("render", r"\brnd_[0-9A-Za-z]{8}", r"\brnd_[0-9A-Za-z]{28,}"),
    ("replicate", r"\br8_[0-9A-Za-z]{8}", r"\br8_[0-9A-Za-z]{37}\b"),
    ("resend", r"\bre_[0-9A-Za-z]{8}_[0-9A-Za-z]{8}", r"\bre_[0-9A-Za-z]{8}_[0-9A-Za-z]{24}\b"),
    ("sendgrid", r"\bSG\.[0-9A-Za-z_=.-]{12}", r"\bSG\.(?:[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}|[0-9A-Za-z_=.-]{60,})"),
    ("sentry", r"\bsntrys_[0-9A-Za-z+/%\\]{8}", r"\bsntrys_(?:[0-9A-Za-z+/=_]|(?i:%2B|%2F|%3D)|\\/){32,}"),
    ("shopify", r"\bshp(?:at|ca|pa|ss|tka|ltka)_[0-9A-Fa-f]{8}", r"\bshp(?:at|ca|pa|ss|tka|ltka)_[0-9A-Fa-f]{30,}"),
    ("slack", r"\b(?i:xox[abceoprs]|xapp|xwfp)[.-][0-9A-Za-z]", r"\b(?i:xox[abceoprs](?:.xox[bp])?|xapp|xwfp)-[0-9A-Za-z%-]{8,}"),
    ("square", r"\b(?:EAAA[B-Za-z0-9_-][0-9A-Za-z_-]{59}|sq0(?:atp|csp)-)", r"\b(?:EAAA[B-Za-z0-9_-][0-9A-Za-z_-]{59}\b|sq0(?:atp|csp)-[0-9A-Za-z_-]{22,})"),
    ("stripe", r"\b(?:[sr]k_(?:live|test|prod)_|whsec_)[0-9A-Za-z+/%\\]{10}", r"\b(?:[sr]k_(?:live|test|prod)_[0-9A-Za-z]{10,}|whsec_(?:[0-9A-Za-z+/=]|(?i:%2B|%2F|%3D)|\\/){16,})"),
    ("supabase", r"\b(?:sbp_(?:oauth_)?[0-9a-f]{8}|sb_secret_[0-9A-Za-z_-]{5})", r"\b(?:sbp_(?:oauth_)?[0-9a-f]{40,}|sb_secret_[0-9A-Za-z_-]{20,})"),
    ("tailscale", r"\btskey-[0-9A-Za-z-]{8}", r"\btskey-[0-9A-Za-z-]{20,}"),
    ("twilio", r"\bSK[0-9A-Fa-f]{32}", r"\bSK[0-9A-Fa-f]{32}\b"),
    ("vercel", r"\bvc[aciprk]_[0-9A-Za-z]{8}", r"\bvc[aciprk]_[0-9A-Za-z]{24,}"),
    ("xai", r"\bxai-[0-9A-Za-z]{8}", r"\bxai-[0-9A-Za-z]{60,}"),
)  # fmt: skip
"""Kinds that gitleaks lacks, or recognises by a length that is out of date. In the form of `token_rules.RULES`."""

INNER_RULES: Final = (
    ("azure-devops", r"AZDO[0-9A-Za-z]{4}\b", r"[0-9A-Za-z]{64,}AZDO[0-9A-Za-z]{4}\b"),
    ("discord", rf"\.{_CLASS}{{6}}\.{_CLASS}{{27}}", rf"\b[MNO]{_CLASS}{{23,27}}\.{_CLASS}{{6}}\.{_CLASS}{{27,}}"),
    ("facebook-app", r"[0-9]{15}(?:\||(?i:%7C))[0-9A-Za-z_-]{27}", r"\b[0-9]{15,16}(?:\||(?i:%7C))[0-9A-Za-z_-]{27}\b"),
    ("telegram", r"[0-9](?::|(?i:%3A))A[0-9A-Za-z_-]{34}", r"[0-9]{5,16}(?::|(?i:%3A))A[0-9A-Za-z_-]{34}"),
)  # fmt: skip
"""Kinds that are recognised by a sequence inside the token, in the form of `token_rules.INNER_RULES`."""

PLACES: Final = (
    (
        "slack-webhook",
        r"/services/T[0-9A-Z]{7,12}/B|hooks\.slack\.com(?:/|\\/)",
        r"/services/(T[0-9A-Z]{7,12}/B[0-9A-Z]{7,12}/[0-9A-Za-z]{16,})"
        r"|hooks\.slack\.com(?:/|\\/)(?:services|workflows|triggers)(?:/|\\/)((?:[0-9A-Za-z]|/|\\/){30,})",
    ),
    ("discord-webhook", r"/webhooks/[0-9]{17}", r"/webhooks/[0-9]{17,20}/([0-9A-Za-z_-]{60,})"),
    ("teams-webhook", r"/webhookb2/[0-9a-f]{8}-", r"/webhookb2/([0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9A-Za-z/_-]{32,})"),
    ("kubernetes-websocket", r"bearer\.authorization\.k8s\.io\.", r"bearer\.authorization\.k8s\.io\.([0-9A-Za-z_-]{6,})"),
    ("servlet-session", r"(?i:;jsessionid=)", r"(?i:;jsessionid=)([0-9A-Za-z_.!~+-]{6,})"),
)  # fmt: skip
"""Kinds that are recognised by the text around them, such as a path: name, beginning, and the whole expression, with the
secret in a group."""

# JSON whose first bytes are `{"`, or a brace with a blank or the end of a line. The first part may be long.
_JWT_BEGINNING = r"(?:eyJ|eyAi|ewog|ew0K)[A-Za-z0-9_-]{5,}\."
_JWT = rf"{_JWT_BEGINNING}[A-Za-z0-9_-]{{5,}}(?:\.[A-Za-z0-9_-]*){{0,3}}"

_BLANK = r"(?:[ +]|%20)"
_KEY_BEGINNING = rf"-----BEGIN{_BLANK}(?:[A-Z0-9]|{_BLANK}){{0,60}}PRIVATE{_BLANK}KEY(?:{_BLANK}BLOCK)?-----"
_KEY_END = rf"-----END{_BLANK}(?:[A-Z0-9]|{_BLANK}){{0,60}}PRIVATE{_BLANK}KEY(?:{_BLANK}BLOCK)?-----"
_LONGEST_KEY = 256 * 1024
_DECIDED: Final = 512
"""Bytes after which it is certain whether a beginning is a token, which may be longer."""

# `code` is a secret where the rest of the query or form is OAuth's (RFC 6749, 4.1.2 and 4.1.3; RFC 7636, 4.5).
_OAUTH: Final = (b"grant_type", b"code_verifier", b"state")
_FIELD = r"(?:[^\s\"'<>\\#?]|\\u0026)"
_AMPERSAND = re.compile(rb"&(?:amp;)?|\\u0026")
"""Unescaped, in HTML, and as some encoders write it in JSON."""
_OAUTH_NAMES = "|".join(name.decode() for name in _OAUTH)
_OAUTH_BEGINNING = (
    rf"\bcode={_FIELD}*(?:&(?:amp;)?|\\u0026)(?:{_OAUTH_NAMES})=|\b(?:{_OAUTH_NAMES})={_FIELD}*(?:[&;]|u0026)code="
)

KINDS: Final = (*(name for name, _, _ in (*RULES, *INNER_RULES, *PLACES)), "jwt", "private-key", "oauth-code")
"""The names of all kinds except those of `token_rules`."""

# A word also begins after an escape of URLs or JSON strings.
_WORD = r"(?:\b|%[0-9A-Fa-f]{2}|\\(?:[nrtbf]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}))"


class Span(msgspec.Struct, frozen=True):
    """The position of a secret, with the methods of a match."""

    first: int
    stop: int

    def start(self) -> int:
        """Return the position of its first byte."""
        return self.first

    def end(self) -> int:
        """Return the position after its last byte."""
        return self.stop


def compiled(pattern: str) -> Any:
    """Compile an expression over bytes."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 * 1024 * 1024
    return re2.compile(pattern.encode("latin-1"), options)


def beginnings() -> str:
    """Return the pattern that matches in every text with one of these secrets, and seldom in others."""
    others = [beginning for _, beginning, _ in (*INNER_RULES, *MORE_INNER_RULES, *PLACES)]
    return "|".join([_rule_beginnings(), *others, _JWT_BEGINNING, _KEY_BEGINNING, _OAUTH_BEGINNING])


class Tokens:
    """Finds secrets of all these kinds, like a compiled expression."""

    def finditer(self, data: bytes) -> Iterator[Span]:
        """Yield the secrets, sorted by their starts, without overlaps."""
        if not _beginnings().search(data):
            return
        spans = list(_by_beginning(data))
        others = [*_in_places(data), *_private_keys(data), *_oauth_codes(data)]
        if others:
            spans = sorted((*spans, *others), key=Span.start)
        stop = 0
        for span in spans:
            if span.first >= stop:
                stop = span.stop
                yield span


def _rule_beginnings() -> str:
    distinct = list(dict.fromkeys(beginning for _, beginning, _ in (*RULES, *MORE_RULES)))
    words = [one.removeprefix(r"\b") for one in distinct if one.startswith(r"\b")]
    others = [one for one in distinct if not one.startswith(r"\b")]
    return f"{_WORD}(?:{'|'.join(words)})|{'|'.join(others)}"


@cache
def _rules() -> tuple[Any, Any]:
    """Return the expression that finds beginnings of tokens, and the one that matches a whole token from there on.

    They are separate, because RE2 finds the start of a match by a backward search from its end, where the kinds do not
    differ: that took 4 ms for each token.
    """
    patterns = dict.fromkeys(pattern.removeprefix(r"\b") for _, _, pattern in (*RULES, *MORE_RULES))
    return compiled(_rule_beginnings()), compiled("|".join(patterns))


def _by_beginning(data: bytes) -> Iterator[Span]:
    beginning, whole = _rules()
    at = 0
    while (begun := beginning.search(data, at)) is not None:
        start = _after_escape(begun.start(), begun.end(), data).first
        found = whole.match(data, start, start + _DECIDED)
        if found is not None and found.end() == start + _DECIDED:
            found = whole.match(data, start)
        if found is None:
            at = begun.start() + 1
        else:
            at = found.end()
            yield Span(start, at)


def _after_escape(start: int, end: int, data: bytes) -> Span:
    """Return a span without the escape that precedes the token."""
    sign = data[start : start + 2]
    if sign.startswith(b"%"):
        return Span(start + 3, end)
    if sign.startswith(b"\\"):
        return Span(start + {b"u": 6, b"x": 4}.get(sign[1:], 2), end)
    return Span(start, end)


@cache
def _beginnings() -> Any:
    return compiled(beginnings())


@cache
def _rare() -> Any:
    rare = [beginning for _, beginning, _ in (*INNER_RULES, *MORE_INNER_RULES, *PLACES)]
    return compiled("|".join([*rare, _JWT_BEGINNING]))


@cache
def _inner_expressions() -> tuple[Any, ...]:
    """Return an expression for each kind: one for all would need more states than RE2 caches, since each kind counts its
    own characters."""
    patterns = [pattern for _, _, pattern in (*INNER_RULES, *MORE_INNER_RULES)]
    words = [_WORD + one.removeprefix(r"\b") if one.startswith(r"\b") else one for one in patterns]
    return tuple(compiled(one) for one in (*words, _JWT))


@cache
def _places() -> Any:
    return compiled("|".join(pattern for _, _, pattern in PLACES))


def _in_places(data: bytes) -> Iterator[Span]:
    if _rare().search(data):
        for expression in _inner_expressions():
            for found in expression.finditer(data):
                yield _after_escape(found.start(), found.end(), data)
        for found in _places().finditer(data):
            yield Span(*found.span(found.lastindex))


@cache
def _keys() -> tuple[Any, Any, Any]:
    return compiled(_KEY_BEGINNING), compiled(_KEY_END), compiled(rf"{_PEM_TEXT}{{16,}}")


def _private_keys(data: bytes) -> Iterator[Span]:
    """Find private keys up to their end marker, whatever is between: lines of a program, markup. Without an end marker,
    up to the first character that a key cannot contain."""
    beginning, end, text = _keys()
    ends = end.finditer(data) if b"-----BEGIN" in data else iter(())
    closing = next(ends, None)
    done = 0
    for opening in beginning.finditer(data) if b"-----BEGIN" in data else ():
        first, stop = opening.span()
        if first < done:
            continue
        while closing is not None and closing.start() < stop:
            closing = next(ends, None)
        if closing is not None and closing.end() - first <= _LONGEST_KEY:
            done = closing.end()
        else:
            rest = text.match(data, stop)
            if rest is None:
                continue
            done = rest.end()
        yield Span(first, done)


@cache
def _queries() -> Any:
    return compiled(rf"{_FIELD}*\bcode={_FIELD}*")


def _oauth_codes(data: bytes) -> Iterator[Span]:
    if b"code=" not in data:
        return
    for found in _queries().finditer(data):
        query, at = found.group(0), found.start()
        ends = [*(sign.span() for sign in _AMPERSAND.finditer(query)), (len(query), len(query))]
        begins = [0, *(stop for _, stop in ends)]
        fields = [(begin, end, query[begin:end].partition(b"=")) for begin, (end, _) in zip(begins, ends, strict=False)]
        if any(equals and name in _OAUTH for _, _, (name, equals, _) in fields):
            for begin, end, (name, _, value) in fields:
                if name == b"code" and value:
                    yield Span(at + begin + len(b"code="), at + end)
