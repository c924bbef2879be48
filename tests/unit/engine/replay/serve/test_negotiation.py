"""What clients take (RFC 9110, 12.5)."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.serve.negotiation import first_language, language_quality, preferences, type_quality


def test_preferences_in_their_order() -> None:
    assert preferences("a;q=0.5, B ;level=1, c;q=x, ,d;Q=7") == (("b;level=1", 1.0), ("c", 1.0), ("d", 1.0), ("a", 0.5))


@pytest.mark.parametrize(
    ("accept", "kind", "quality"),
    [
        ("application/json", "application/json; charset=utf-8", 1.0),
        ("text/*;q=0.3, text/html;q=0.7, text/html;level=1, */*;q=0.5", "text/html;level=1", 1.0),
        ("text/*;q=0.3, text/html;q=0.7, text/html;level=1, */*;q=0.5", "text/html", 1.0),
        ("text/*;q=0.3, text/html;q=0.7, */*;q=0.5", "text/plain", 0.3),
        ("text/*;q=0.3, */*;q=0.5", "image/jpeg", 0.5),
        ("*", "image/jpeg", 1.0),
        ("application/json", "text/html", 0.0),
        ("*/*, text/html;q=0", "text/html", 0.0),
        ("application/json", "application/problem+json", 1.0),
        ("application/vnd.github+json", "application/json", 1.0),
        ("application/xml", "text/xml", 0.0),
        ("", "text/html", 0.0),
    ],
)
def test_types(accept: str, kind: str, quality: float) -> None:
    assert type_quality(accept, kind) == quality


@pytest.mark.parametrize(
    ("accept", "language", "quality"),
    [
        ("de-CH, de;q=0.8, en;q=0.5", "de-CH", 1.0),
        ("de-CH, de;q=0.8, en;q=0.5", "de", 0.8),
        ("de-CH", "de", 1.0),
        ("de", "de-AT", 1.0),
        ("de, *;q=0.1", "fr", 0.1),
        ("de", "fr", 0.0),
        ("de", "fr, de", 1.0),
        ("de", "den", 0.0),
    ],
)
def test_languages(accept: str, language: str, quality: float) -> None:
    assert language_quality(accept, language) == quality


def test_the_first_language() -> None:
    assert [first_language(text) for text in ("fr;q=0.1, de-AT", "", "EN-gb")] == ["de", "", "en"]
