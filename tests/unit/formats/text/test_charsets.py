"""What is a charset, whatever a peer or a file calls one."""

from __future__ import annotations

import time

import pytest

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.text.charsets import codec_of


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("latin1", "iso8859-1"),
        ("Shift_JIS", "shift_jis"),
        ("GB18030", "gb18030"),
        ("utf-7", "utf-7"),
    ],
)
def test_charsets(name: str, codec: str) -> None:
    assert codec_of(name) == codec


@pytest.mark.parametrize(
    "name",
    ["punycode", "idna", "IDNA", "unicode-escape", "raw_unicode_escape", "undefined", "base64", "rot13", "hex", "x", "", "\0", "é" * 99],
)  # fmt: skip
def test_what_is_no_charset(name: str) -> None:
    assert codec_of(name) is None


@pytest.mark.parametrize("name", ["punycode", "idna", "rot13", "nonsense"])
def test_a_body_in_it_is_refused_whatever_its_length(name: str) -> None:
    """Punycode took 47 seconds for this text, and four times as long for twice of it."""
    body = Body.from_record({"size": 1, "text": "".join(chr(0x4E00 + n) for n in range(20_000)), "charset": name})
    started = time.process_time()
    with pytest.raises(SessionError, match="not known"):
        _ = body.bytes
    assert time.process_time() - started < 1
