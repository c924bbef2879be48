"""Generate sample tokens from the regular expressions that describe them. None is stored: forges refuse files with tokens.

The same seed gives the same samples.
"""

from __future__ import annotations

import json
import random
import re
import string
from pathlib import Path
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from mockrec.engine.redaction import tokens as redact_tokens

GITLEAKS = Path(__file__).parents[1] / "data" / "tokens" / "gitleaks.json"
_MORE = 6
"""Repetitions beyond the minimum, where the expression has no maximum."""
_ALNUM = string.ascii_letters + string.digits


def made(shape: str, seed: int) -> str:
    """Return a text that matches an expression, of letters and digits where it allows a choice."""
    return _made(_parser.parse(shape, re.ASCII), random.Random(f"{seed} {shape}"), False)


def _made(items: Any, chance: random.Random, ignore: bool) -> str:
    return "".join([_one(operator, argument, chance, ignore) for operator, argument in items])


def _one(operator: Any, argument: Any, chance: random.Random, ignore: bool) -> str:
    if operator is op.LITERAL:
        return chr(argument)
    if operator is op.IN:
        allowed = [char for char in map(chr, range(32, 127)) if _is_in(argument, char)]
        return chance.choice([char for char in allowed if char in _ALNUM] or allowed)
    if operator in (op.MAX_REPEAT, op.MIN_REPEAT):
        least, most, inner = argument
        count = chance.randint(least, min(most, least + _MORE) if most is not op.MAXREPEAT else least + _MORE)
        return "".join([_made(inner, chance, ignore) for _ in range(count)])
    if operator is op.SUBPATTERN:
        return _made(argument[3], chance, ignore)
    if operator is op.BRANCH:
        every = [_made(branch, chance, ignore) for branch in argument[1]]
        return chance.choice([text for text in every if not {"%", "\\"} & set(text)] or every)  # as it is, not escaped
    if operator is op.ANY:
        return chance.choice(_ALNUM)
    assert operator is op.AT, operator
    return ""


def _is_in(argument: Any, char: str) -> bool:
    code, found, negated = ord(char), False, False
    for kind, value in argument:
        if kind is op.NEGATE:
            negated = True
        elif kind is op.LITERAL:
            found = found or code == value
        elif kind is op.RANGE:
            found = found or value[0] <= code <= value[1]
        else:
            expression = {op.CATEGORY_WORD: r"\w", op.CATEGORY_DIGIT: r"\d", op.CATEGORY_SPACE: r"\s",
                          op.CATEGORY_NOT_WORD: r"\W", op.CATEGORY_NOT_SPACE: r"\S"}[value]  # fmt: skip
            found = found or re.fullmatch(expression, char, re.ASCII) is not None
    return found != negated


def every_shape() -> list[tuple[str, str]]:
    """Kinds and expressions: gitleaks' as they are there, and ours."""
    rules = json.loads(GITLEAKS.read_text(encoding="utf-8"))["rules"]
    theirs = [(f"gitleaks {rule['id']} {at}", shape) for rule in rules for at, shape in enumerate(rule["shapes"])]
    ours = (*redact_tokens.RULES, *redact_tokens.INNER_RULES)
    return [one for one in theirs if "private-key" not in one[0]] + [(name, pattern) for name, _, pattern in ours]


def every_sample(seed: int) -> list[tuple[str, str]]:
    """Kinds, and a token of each."""
    return [(kind, made(shape, seed)) for kind, shape in every_shape()] + real_ones(seed)


def real_ones(seed: int) -> list[tuple[str, str]]:
    """Kinds as their makers describe them, whatever the expressions say."""
    chance = random.Random(seed)

    def of(alphabet: str, length: int) -> str:
        return "".join(chance.choice(alphabet) for _ in range(length))

    hexadecimal, upper, word = string.hexdigits.lower()[:16], string.ascii_uppercase + "234567", _ALNUM + "-_"
    jwt = f"eyJ{of(_ALNUM, 33)}.eyJ{of(word, 60)}.{of(word, 43)}"
    return [
        ("OpenAI project", "sk-proj-" + of(word, 74) + "T3BlbkFJ" + of(word, 74)),
        ("OpenAI", "sk-" + of(_ALNUM, 20) + "T3BlbkFJ" + of(_ALNUM, 20)),
        ("Anthropic", "sk-ant-api03-" + of(word, 93) + "AA"),
        *((f"GitHub {kind}", f"gh{kind}_" + of(_ALNUM, 36)) for kind in "pousr"),
        ("GitHub fine-grained", "github_pat_" + of(_ALNUM, 22) + "_" + of(_ALNUM, 59)),
        ("GitLab", "glpat-" + of(word, 20)),
        ("GitLab routable", "glpat-" + of(word, 27) + ".01." + of(string.ascii_lowercase, 9)),
        ("npm", "npm_" + of(_ALNUM, 36)),
        ("PyPI", "pypi-AgEIcHlwaS5vcmc" + of(word, 100)),
        ("Slack bot", "xoxb-" + of(string.digits, 12) + "-" + of(string.digits, 13) + "-" + of(_ALNUM, 24)),
        ("Stripe", "sk_live_" + of(_ALNUM, 24)),
        ("Stripe restricted", "rk_test_" + of(_ALNUM, 99)),
        ("Stripe webhook", "whsec_" + of(_ALNUM, 32)),
        ("AWS", "AKIA" + of(upper, 16)),
        ("AWS temporary", "ASIA" + of(upper, 16)),
        ("Google", "AIza" + of(word, 35)),
        ("Google OAuth", "ya29.a0" + of(word, 160)),
        ("Google client secret", "GOCSPX-" + of(word, 28)),
        ("JWT", jwt),
        ("Hugging Face", "hf_" + of(string.ascii_letters, 34)),
        ("Databricks", "dapi" + of(hexadecimal, 32)),
        ("Docker", "dckr_pat_" + of(word, 27)),
        ("DigitalOcean", "dop_v1_" + of(hexadecimal, 64)),
        ("Shopify", "shpat_" + of(hexadecimal, 32)),
        ("SendGrid", "SG." + of(word, 22) + "." + of(word, 43)),
        ("Twilio", "SK" + of(hexadecimal, 32)),
        ("Mailgun", "key-" + of(hexadecimal, 32)),
        ("Telegram", of(string.digits[1:], 9) + ":AA" + of(word, 33)),
        ("Discord", "M" + of(_ALNUM, 25) + "." + of(word, 6) + "." + of(word, 38)),
        ("Grafana", "glsa_" + of(_ALNUM, 32) + "_" + of(hexadecimal, 8)),
        ("Vault", "hvs." + of(word, 95)),
        ("age", "AGE-SECRET-KEY-1" + of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)),
        ("Sentry", "sntrys_" + of(_ALNUM, 120) + "_" + of(_ALNUM, 43)),
        ("Linear", "lin_api_" + of(_ALNUM, 40)),
        ("Notion", "ntn_" + of(string.digits, 11) + of(_ALNUM, 35)),
        ("Postman", "PMAK-" + of(hexadecimal, 24) + "-" + of(hexadecimal, 34)),
        ("Supabase", "sbp_" + of(hexadecimal, 40)),
        ("Doppler", "dp.pt." + of(_ALNUM, 43)),
        ("Vercel", "vcp_" + of(_ALNUM, 56)),
    ]


def private_keys(seed: int) -> list[tuple[str, str]]:
    """Keys of every kind, whole."""
    chance = random.Random(seed)
    lines = "\n".join("".join(chance.choice(_ALNUM + "+/") for _ in range(64)) for _ in range(4))
    kinds = ("", "RSA ", "EC ", "DSA ", "ENCRYPTED ", "OPENSSH ", "PGP ")
    return [
        (
            f"{kind}private key",
            f"-----BEGIN {kind}PRIVATE KEY{' BLOCK' if kind == 'PGP ' else ''}-----\n{lines}\n"
            f"-----END {kind}PRIVATE KEY{' BLOCK' if kind == 'PGP ' else ''}-----\n",
        )
        for kind in kinds
    ]
