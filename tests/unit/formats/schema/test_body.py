"""Bodies: bytes to the log's form and back, from text, base64 or a file beside the log."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.schema.body import Body, encode_body
from mockrec.formats.schema.errors import RecordError, SessionError

Keep = Callable[[Path, bytes], str]

DIGEST = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
COMPLETE: dict[str, Any] = {
    "size": 5,
    "text": "hello",
    "base64": "aGVsbG8=",
    "file": f"2c/{DIGEST}",
    "sha256": DIGEST,
    "contentEncoding": "gzip",
    "encodedSize": 25,
    "charset": "latin-1",
    "raw": "aGk=",
    "truncated": True,
    "redacted": True,
    "undecodable": True,
    "incomplete": True,
}


# ── bytes → record ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", [b"", b"hello", "é€😀".encode(), b"\x00\x1b", b"\xef\xbb\xbfbom"])
def test_valid_utf8_is_text(data: bytes) -> None:
    record = encode_body(data)
    assert record == {"size": len(data), "text": data.decode()}
    assert Body.from_record(record).bytes == data


@pytest.mark.parametrize("data", [b"\xff", b"\xed\xa0\x80", b"\xc3", bytes(range(256))])
def test_other_bytes_are_base64(data: bytes) -> None:
    record = encode_body(data)
    assert record == {"size": len(data), "base64": base64.b64encode(data).decode()}
    assert Body.from_record(record).bytes == data


# ── record ⇄ Body ──────────────────────────────────────────────────────────────────────────────────


def test_every_key_is_read_and_written_in_order() -> None:
    body = Body.from_record(COMPLETE)
    assert body.extra == {}
    assert body.to_record() == COMPLETE
    assert list(body.to_record()) == list(COMPLETE)


@pytest.mark.parametrize("key", [key for key in COMPLETE if key != "size"])
def test_each_key_is_left_out_where_there_is_nothing_to_say(key: str) -> None:
    record = {name: value for name, value in COMPLETE.items() if name != key}
    assert Body.from_record(record).to_record() == record


@pytest.mark.parametrize("flag", ["truncated", "redacted", "undecodable", "incomplete"])
def test_a_false_flag_is_not_written(flag: str) -> None:
    assert Body.from_record({"size": 0, "text": "", flag: False}).to_record() == {"size": 0, "text": ""}


def test_unknown_keys_are_kept() -> None:
    record = {"size": 0, "text": "", "later": [1]}
    body = Body.from_record(record)
    assert body.extra == {"later": [1]}
    assert body.to_record() == record


def test_a_body_without_a_size_is_none() -> None:
    with pytest.raises(RecordError, match=r"^a body has no size$"):
        Body.from_record({"text": "hello"})


def test_where_a_body_lies_does_not_make_it_another(tmp_path: Path) -> None:
    record = {"size": 0, "text": ""}
    body = Body.from_record(record, tmp_path)
    assert body.folder == tmp_path
    assert body == Body.from_record(record)
    assert body != Body.from_record({"size": 1, "text": ""})


# ── what was kept ──────────────────────────────────────────────────────────────────────────────────


def test_text_converted_from_a_charset_gives_the_bytes_of_that_charset() -> None:
    body = Body(size=1, inline_text="é", charset="latin-1")
    assert body.bytes == b"\xe9"
    assert body.text == "é"


@pytest.mark.parametrize("charset", ["no-such", "ascii", "hex", "a\0b", "idna", "undefined"])
def test_text_that_its_charset_has_no_form_for(charset: str) -> None:
    body = Body(size=1, inline_text="é" * 100, charset=charset)
    with pytest.raises(SessionError, match=r"^body: its text is (not |in the charset )"):
        _ = body.bytes


@pytest.mark.parametrize("text", ["a", "aGk", "aG k=", "aGk=\n", "é"])
def test_damaged_base64(text: str) -> None:
    with pytest.raises(SessionError, match=r"^body: its base64 is damaged: "):
        _ = Body(size=1, inline_base64=text).bytes
    with pytest.raises(SessionError, match=r"^body: its base64 is damaged: "):
        _ = Body(size=1, inline_text="", raw_base64=text).raw


def test_wire_bytes_beside_the_decoded_ones() -> None:
    assert Body(size=2, inline_text="hi", raw_base64="H4s=").raw == b"\x1f\x8b"
    assert Body(size=2, inline_text="hi").raw is None


def test_base64_is_no_text() -> None:
    assert Body(size=1, inline_base64="/w==").text is None


def test_nothing_was_kept() -> None:
    body = Body(size=7, truncated=True)
    assert body.bytes == b""
    assert body.text is None


def test_json() -> None:
    assert Body(size=0, inline_text='{"a": [1]}').json() == {"a": [1]}


@pytest.mark.parametrize("body", [Body(size=9, inline_text='{"a', truncated=True), Body(size=1, inline_base64="/w==")])
def test_what_is_no_json(body: Body) -> None:
    with pytest.raises(ValueError):
        body.json()


def test_a_form_keeps_all_values_and_empty_ones() -> None:
    assert Body(size=0, inline_text="a=1&b=&a=%C3%A9+").form() == {"a": ["1", "é "], "b": [""]}
    assert Body(size=1, inline_base64="/w==").form() == {}


# ── bodies beside the log ──────────────────────────────────────────────────────────────────────────


def test_a_text_file(tmp_path: Path, keep_beside: Keep) -> None:
    body = Body(size=5, file=keep_beside(tmp_path, b'"\xc3\xa9"'), folder=tmp_path)
    assert body.bytes == b'"\xc3\xa9"'
    assert body.text == '"é"'
    assert body.json() == "é"


def test_a_binary_file(tmp_path: Path, keep_beside: Keep) -> None:
    body = Body(size=1, file=keep_beside(tmp_path, b"\xff"), folder=tmp_path)
    assert body.bytes == b"\xff"
    assert body.text is None


@pytest.mark.parametrize(
    "name",
    [
        DIGEST,
        f"2c/{DIGEST}\n",
        f"2C/{DIGEST.upper()}",
        f"00/{DIGEST}",
        f"/2c/{DIGEST}",
        f"../2c/{DIGEST}",
        f"2c/../2c/{DIGEST}",
        f"2c/{DIGEST}0",
        "/etc/passwd",
        "",
    ],
)
def test_any_other_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SessionError, match="refused: a body's file is named by"):
        _ = Body(size=5, file=name, folder=tmp_path).bytes


def test_a_file_needs_a_folder() -> None:
    with pytest.raises(SessionError, match=r"the folder with the session's bodies is not known$"):
        _ = Body(size=5, file=f"2c/{DIGEST}").bytes


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=rf"^{re.escape(str(tmp_path / '2c' / DIGEST))}: No such file or directory$"):
        _ = Body(size=5, file=f"2c/{DIGEST}", folder=tmp_path).bytes


def test_a_file_with_another_content(tmp_path: Path, keep_beside: Keep) -> None:
    name = keep_beside(tmp_path, b"hello")
    (tmp_path / name).write_bytes(b"HELLO")
    with pytest.raises(SessionError, match=r"the content is not what its hash says$"):
        _ = Body(size=5, file=name, folder=tmp_path).bytes


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, keep_beside: Keep) -> None:
    name = keep_beside(tmp_path / "outside", b"hello")
    folder = tmp_path / "s.jsonl.bodies"
    folder.mkdir()
    (folder / "2c").symlink_to(tmp_path / "outside" / "2c")
    with pytest.raises(SessionError, match="refused: it leads out of "):
        _ = Body(size=5, file=name, folder=folder).bytes


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "2c").mkdir()
    os.mkfifo(tmp_path / "2c" / DIGEST)
    with pytest.raises(SessionError, match="refused: it is no file"):
        _ = Body(size=5, file=f"2c/{DIGEST}", folder=tmp_path).bytes


def test_the_folder_itself_may_be_a_link(tmp_path: Path, keep_beside: Keep) -> None:
    name = keep_beside(tmp_path / "elsewhere", b"hello")
    folder = tmp_path / "s.jsonl.bodies"
    folder.symlink_to(tmp_path / "elsewhere")
    assert Body(size=5, file=name, folder=folder).bytes == b"hello"


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "2c").symlink_to(tmp_path / "2c")
    with pytest.raises(SessionError, match=DIGEST):
        _ = Body(size=5, file=f"2c/{DIGEST}", folder=tmp_path).bytes
