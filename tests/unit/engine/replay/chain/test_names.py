"""Which values are worth handing on, and which could be there by accident."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.chain.names import entity_of, entity_of_path, is_strong, is_worth, name_of


@pytest.mark.parametrize(
    "text",
    [
        "0f8fad5b-d9cb-469f-a165-70867728950e",  # a UUID
        "507f1f77bcf86cd799439011",  # an ObjectId
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ",
        "Ug-fz-mXnkhcHbLHtSln8iEG5UOT1QHA",
        "cG9zOjQ5MjE3",  # a cursor
        "4503599627474506",
        "usr_8fh3k2x9",
        "redacted-3fa94c21",
        "dGhpcyBpcyBhIHRlc3Q+/w==",
        "3fa94c21",
    ],
)
def test_what_looks_generated_is_known_wherever_it_stands(text: str) -> None:
    assert is_strong(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "true", "en", "42", "ann", "password", "application/json", "some-slug-of-words", "article42", "user1234",
        "iso8859-1", "2026-01-31", "20260131", "2026-01-31T10:00:00Z", "20260131T101500Z", "127.0.0.1:8000", "12345.67890",
        "http://a.test/b1c2d3e4", "/items/b1c2d3e4f5", "ann@example.com", "two words a1b2c3d4", "image/x-a1b2c3d4",
        "00000000-0000-0000-0000-000000000001", "1234567", "0000000000", "text-embedding-3-small", "Content-Security-Policy",
    ],
)  # fmt: skip
def test_what_people_write_is_not(text: str) -> None:
    assert not is_strong(text)


@pytest.mark.parametrize(
    ("key", "entity", "name"),
    [
        ("id", "user", "userid"),
        ("_id", "user", "userid"),
        ("user_id", "order", "userid"),
        ("userId", "", "userid"),
        ("User-ID", "", "userid"),
        ("uuid", "user", "userid"),
        ("order_uuid", "", "orderid"),
        ("csrfmiddlewaretoken", "", "csrfmiddlewaretoken"),
        ("next_page_token", "item", "nextpagetoken"),
        ("valid", "user", ""),
        ("paid", "order", ""),
        ("page", "item", ""),
        ("lang", "", ""),
    ],
)
def test_names_are_the_same_in_all_languages(key: str, entity: str, name: str) -> None:
    assert name_of(key, entity) == name


@pytest.mark.parametrize(
    ("path", "entity"),
    [
        ("/users", "user"),
        ("/users/7", "user"),
        ("/api/v1/categories/12/boxes/", "box"),
        ("/items/0f8fad5b-d9cb-469f-a165-70867728950e?x=1", "item"),
        ("/addresses", "address"),
        ("/status", "status"),
        ("/", ""),
        ("/1/2", ""),
    ],
)
def test_a_path_says_what_a_bare_id_is_of(path: str, entity: str) -> None:
    assert entity_of_path(path) == entity


def test_verbs_do_not_count() -> None:
    assert entity_of("createUser") == "user"


@pytest.mark.parametrize(
    ("name", "text", "worth"),
    [
        ("userid", "1", True),
        ("userid", "ann-7", True),
        ("userid", "0", False),
        ("userid", "-1", False),
        ("userid", "me", False),
        ("userid", "null", False),
        ("id", "1", False),  # of what?
        ("", "a8f3k2m9", False),
        ("otp", "482913", True),
        ("code", "DE", False),
        ("code", "200", False),
        ("state", "open", False),
        ("token", "secret", True),
        ("userid", "a b", False),
    ],
)
def test_other_values_need_a_name(name: str, text: str, worth: bool) -> None:
    assert is_worth(name, text) is worth
