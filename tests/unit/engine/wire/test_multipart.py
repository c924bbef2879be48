"""Bodies of multipart/form-data."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.multipart import Part, header_parameter, parse_multipart, parse_parts

BODY = (
    b"preamble\r\n"
    b"--sep\r\n"
    b'Content-Disposition: form-data; name="note"\r\n'
    b"\r\n"
    b"hello\r\n"
    b"--sep  \r\n"
    b'content-disposition: form-data; name="file"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n"
    b"\r\n"
    b"\x00\xff\r\n--se\r\n"
    b"--sep--\r\n"
    b"epilogue\r\n--sep\r\n\r\nnot a part"
)


def test_parts_keep_their_bytes() -> None:
    note, file = parse_multipart(BODY, "multipart/form-data; boundary=sep")
    assert (note.name, note.filename, note.text) == ("note", None, "hello")
    assert (file.name, file.filename, file.content) == ("file", "a.bin", b"\x00\xff\r\n--se")
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.text == "\x00�\r\n--se"


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="sep"',
        'Multipart/Form-Data; charset=utf-8; Boundary="sep"; x=y',
    ],
)
def test_a_boundary_may_be_quoted_and_followed_by_more(content_type: str) -> None:
    assert [part.name for part in parse_multipart(BODY, content_type)] == ["note", "file"]


@pytest.mark.parametrize(
    "content_type", ["", "text/plain; boundary=sep", "multipart/form-data", "multipart/form-data; boundary="]
)
def test_other_types_have_no_parts(content_type: str) -> None:
    assert parse_multipart(BODY, content_type) == ()


def test_a_first_delimiter_may_begin_the_body_and_a_part_may_have_no_headers() -> None:
    assert parse_multipart(b"--s\r\n\r\nx\r\n--s--", "multipart/form-data; boundary=s") == (Part(None, None, {}, b"x"),)


def test_a_malformed_body_gives_fewer_parts() -> None:
    body = b'--s\r\nno colon\r\ncontent-disposition: form-data; name="a"\r\n\r\nx\r\n--snot a delimiter\r\n'
    assert [part.name for part in parse_multipart(body, "multipart/form-data; boundary=s")] == ["a"]
    assert parse_multipart(b"--s", "multipart/form-data; boundary=s") == ()


def test_a_part_that_was_cut_off_keeps_what_is_there() -> None:
    (part,) = parse_multipart(b'--s\r\ncontent-disposition: form-data; name="a"', "multipart/form-data; boundary=s")
    assert (part.name, part.content) == ("a", b"")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('form-data; name="a b"', "a b"),
        ("form-data; name=plain; x=y", "plain"),
        ('form-data; name="a%22b"', 'a"b'),
        ('form-data; name="a\\"b"', 'a"b'),
        ('form-data; filename="name=x"', None),
        ("form-data; NAME=upper", "upper"),
    ],
)
def test_parameters(value: str, expected: str | None) -> None:
    assert header_parameter(value, "name") == expected


def test_parts_of_any_kind_of_multipart() -> None:
    body = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n\r\ndata\r\n--b--\r\n"
    parts = parse_parts(body, 'multipart/related; type="application/json"; boundary=b')
    assert [(part.headers.get("content-type"), part.content) for part in parts] == [
        ("application/json", b"{}"),
        (None, b"data"),
    ]
    assert parse_multipart(body, "multipart/related; boundary=b") == ()
    assert parse_parts(body, "multipart/related") == ()
