"""Request targets in their normal form."""

from __future__ import annotations

import pytest

from mockrec.formats.text.urls import normal_target, quoted_target


@pytest.mark.parametrize(
    ("target", "normal", "quoted"),
    [
        ("/a/b", "/a/b", "/a/b"),
        ("/a/./b/../c", "/a/c", "/a/./b/../c"),
        ("/../../a", "/a", "/../../a"),
        ("/a/..", "/", "/a/.."),
        ("/a/%2e%2E/b", "/b", "/a/%2e%2E/b"),
        ("/a/...", "/a/...", "/a/..."),
        ("/a?b=/../c", "/a?b=/../c", "/a?b=/../c"),
        ("/ü {x}?q=ü {x}", "/%C3%BC%20%7Bx%7D?q=%C3%BC%20{x}", "/%C3%BC%20%7Bx%7D?q=%C3%BC%20{x}"),
        ("/a?", "/a?", "/a?"),
        ("/\ud800", "/%3F", "/%3F"),
    ],
)
def test_targets(target: str, normal: str, quoted: str) -> None:
    assert normal_target(target) == normal
    assert quoted_target(target) == quoted
