"""Request heads: what is read of a good one, and which fault a bad one is, whole or not yet complete."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.http1 import request_head as heads
from mockrec.engine.wire.http1.request_head import partial_fault, read_head
from mockrec.engine.wire.parts import Fault, RequestHead
from mockrec.engine.wire.request_line import METHODS, sent_target, target_text


def good(raw: bytes) -> RequestHead:
    head = read_head(raw)
    assert isinstance(head, RequestHead), head
    return head


def with_fields(*fields: bytes) -> bytes:
    return b"\r\n".join([b"POST / HTTP/1.1", b"Host: a.test", *fields, b"", b""])


# Each is the whole head; the marked end is where the fault shows if the head arrives byte by byte.
FAULTS = [
    (b"get |/ HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"Patch |/ HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"PRI |* HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"F(|OO / HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"SSH-2.0-OpenSSH_9\r\n|Host: a\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"GET\n|Host: a\r\n\r\n", "HPE_INVALID_METHOD"),
    (b" |GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"\n|GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"\r\r|\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"\x05|\x01\x00\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"\x16|\x03\x01\x02\x00\r\n\r\n", "HPE_INVALID_METHOD"),
    (b"GET\r\n|Host: a\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET /\r\n|Host: a\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET / HTTP/0|\r\nHost: a\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET / HTTP/3|.0\r\nHost: a\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET / HTTP/1.9x\r\n|Host: a\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET / HTTP/1.2\r\n|Host: a\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET / HTTP/1.1 |\r\nHost: a\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET / HTTP/1.1\n|Host: a\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET /\n|Host: a\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET / HTTP/1.1\r\nHost: a\n|\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET / HTTP/1.1\r\nHost: a\n|X-Bad: \x00\r\n\r\n", "HPE_INVALID_VERSION"),
    (b"GET /\x01| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET /\xc3a| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET /\xc3 |HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET /\xff| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET /\xc2\x85| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET /\xe2\x80\xa8| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET /\xed\xa0\x80| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET /\x7f| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET /a\rb| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET \ra|b HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET a.test:80 HTTP/1.1\r\n|Host: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET a?b=c:// HTTP/1.1\r\n|Host: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET  HTTP/1.1\r\n|Host: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"CONNECT /a HTTP/1.1\r\n|Host: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"CONNECT http://a/ HTTP/1.1\r\n|Host: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET /a b| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_CONSTANT"),
    (b"GET / h|ttp/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_CONSTANT"),
    (b"GET  /| HTTP/1.1\r\nHost: a\r\n\r\n", "HPE_INVALID_URL"),
    (b"GET / HTTP/1.1\r\n Host: a\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
    (b"GET / HTTP/1.1\r\nHost : a\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-\xe9: b\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tfolded\r\n|\r\n", "HPE_INVALID_HEADER_TOKEN"),
]

# Faults that only the whole head shows.
CONTRADICTIONS = [
    ([b"Content-Length: abc"], "HPE_INVALID_CONTENT_LENGTH"),
    ([b"Content-Length: -1"], "HPE_INVALID_CONTENT_LENGTH"),
    ([b"Content-Length: +1"], "HPE_INVALID_CONTENT_LENGTH"),
    ([b"Content-Length: 0x5"], "HPE_INVALID_CONTENT_LENGTH"),
    ([b"Content-Length: 5, 5"], "HPE_INVALID_CONTENT_LENGTH"),
    ([b"Content-Length: 5 5"], "HPE_INVALID_CONTENT_LENGTH"),
    ([b"Content-Length: \xb2"], "HPE_INVALID_CONTENT_LENGTH"),
    ([b"Content-Length:"], "HPE_INVALID_CONTENT_LENGTH"),
    ([b"Content-Length: " + b"9" * 20], "HPE_INVALID_CONTENT_LENGTH"),
    ([b"Content-Length: 5", b"Content-Length: 5"], "HPE_UNEXPECTED_CONTENT_LENGTH"),
    ([b"Content-Length: 5", b"content-length: 6"], "HPE_UNEXPECTED_CONTENT_LENGTH"),
    ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], "HPE_INVALID_TRANSFER_ENCODING"),
    ([b"Transfer-Encoding: chunked", b"Content-Length: 5"], "HPE_INVALID_TRANSFER_ENCODING"),
    ([b"Transfer-Encoding: gzip"], "HPE_INVALID_TRANSFER_ENCODING"),
    ([b"Transfer-Encoding: gzip, chunked"], "HPE_INVALID_TRANSFER_ENCODING"),
    ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], "HPE_INVALID_TRANSFER_ENCODING"),
    ([b"Transfer-Encoding: chunked, identity"], "HPE_INVALID_TRANSFER_ENCODING"),
    ([b"Transfer-Encoding: xchunked"], "HPE_INVALID_TRANSFER_ENCODING"),
    ([b"Transfer-Encoding: \xa0chunked"], "HPE_INVALID_TRANSFER_ENCODING"),
    ([b"Transfer-Encoding:"], "HPE_INVALID_TRANSFER_ENCODING"),
    ([b"Host: a.test"], "ERR_INVALID_URL"),
    ([b"HOST: other.test"], "ERR_INVALID_URL"),
]


@pytest.mark.parametrize(("marked", "code"), FAULTS)
def test_a_bad_head_has_the_code_of_its_first_fault(marked: bytes, code: str) -> None:
    raw = marked.replace(b"|", b"")
    assert read_head(raw) == Fault(code, 400, raw)


@pytest.mark.parametrize(("marked", "code"), FAULTS)
def test_a_fault_shows_as_soon_as_nothing_can_mend_it(marked: bytes, code: str) -> None:
    before, _, after = marked.partition(b"|")
    whole = before + after
    assert partial_fault(before) == Fault(code, 400, before)
    earlier = [partial_fault(whole[:length]) for length in range(1, len(before))]
    assert earlier == [None] * len(earlier)
    later = {fault.code for length in range(len(before), len(whole)) if (fault := partial_fault(whole[:length]))}
    assert later == {code}


@pytest.mark.parametrize(("fields", "code"), CONTRADICTIONS)
def test_a_head_that_contradicts_itself_is_a_fault(fields: list[bytes], code: str) -> None:
    raw = with_fields(*fields)
    assert read_head(raw) == Fault(code, 400, raw)


@pytest.mark.parametrize(("fields", "code"), CONTRADICTIONS)
def test_a_contradiction_shows_only_at_the_end_of_the_head(fields: list[bytes], code: str) -> None:
    raw = with_fields(*fields)
    assert [partial_fault(raw[:length]) for length in range(1, len(raw) - 1)] == [None] * (len(raw) - 2)


def test_an_http_1_1_head_needs_a_host() -> None:
    raw = b"GET / HTTP/1.1\r\nX: a\r\n\r\n"
    assert read_head(raw) == Fault("ERR_INVALID_URL", 400, raw)
    assert good(b"GET / HTTP/1.0\r\n\r\n").headers == {}


def test_http_1_0_knows_no_chunks() -> None:
    fault = read_head(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert isinstance(fault, Fault)
    assert fault.code == "HPE_INVALID_TRANSFER_ENCODING"


@pytest.mark.parametrize("method", sorted(METHODS - {b"CONNECT"}))
def test_every_known_method_is_read(method: bytes) -> None:
    raw = method + b" / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert good(raw).method == method.decode()
    assert [partial_fault(raw[:length]) for length in range(1, len(raw) - 1)] == [None] * (len(raw) - 2)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /a?b=c#d HTTP/1.1",
        b"GET http://b.test/a HTTP/1.0",
        b"GET HTTPS://b.test HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT b.test:443 HTTP/1.1",
        b"CONNECT [::1]:443 HTTP/1.1",
    ],
)
def test_every_form_of_target_is_kept_as_it_came(line: bytes) -> None:
    head = good(line + b"\r\nHost: a\r\n\r\n")
    assert f"{head.method} {head.target} HTTP/{head.version}".encode() == line


def test_header_fields_keep_case_order_and_duplicates() -> None:
    head = good(with_fields(b"x-B: 1", b"X-a:2", b"X-B:\t 3 ", b"empty:"))
    assert head.raw_headers == [["Host", "a.test"], ["x-B", "1"], ["X-a", "2"], ["X-B", "3"], ["empty", ""]]
    assert head.headers == {"host": "a.test", "x-b": "1, 3", "x-a": "2", "empty": ""}


def test_cookies_are_joined_by_semicolons() -> None:
    head = good(with_fields(b"Cookie: a=1", b"cookie: b=2; c=3"))
    assert head.headers["cookie"] == "a=1; b=2; c=3"


def test_a_value_may_hold_tabs_and_bytes_over_0x80() -> None:
    head = good(with_fields(b"X: caf\xe9\t\xff"))
    assert head.headers["x"].encode("latin-1") == b"caf\xe9\t\xff"


@pytest.mark.parametrize(
    ("fields", "length", "chunked", "has_body"),
    [
        ([], None, False, False),
        ([b"Content-Length: 0"], 0, False, False),
        ([b"Content-Length: 007"], 7, False, True),
        ([b"Transfer-Encoding: Chunked"], None, True, True),
    ],
)
def test_the_fields_say_how_the_body_is_framed(
    fields: list[bytes], length: int | None, chunked: bool, has_body: bool
) -> None:
    head = good(with_fields(*fields))
    assert (head.content_length, head.chunked, head.has_body) == (length, chunked, has_body)


@pytest.mark.parametrize(
    ("raw", "keep_alive"),
    [
        (with_fields(), True),
        (with_fields(b"Connection: close"), False),
        (with_fields(b"Connection: x", b"connection: CLOSE"), False),
        (with_fields(b"Connection: x,close"), False),
        (with_fields(b"Connection: closed"), True),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
    ],
)
def test_a_connection_stays_open_unless_the_head_says_otherwise(raw: bytes, keep_alive: bool) -> None:
    assert good(raw).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("fields", "upgrade"),
    [
        ([b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket"], "websocket"),
        ([b"Connection: keep-alive", b"Upgrade: websocket"], ""),
        ([b"Connection: upgrade"], ""),
    ],
)
def test_an_upgrade_counts_only_if_connection_names_it(fields: list[bytes], upgrade: str) -> None:
    assert good(with_fields(*fields)).upgrade == upgrade


@pytest.mark.parametrize(
    ("raw", "expects"),
    [
        (with_fields(b"Expect: 100-Continue", b"Content-Length: 1"), True),
        (with_fields(b"Expect: something"), False),
        (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", False),
    ],
)
def test_only_http_1_1_clients_expect_a_100(raw: bytes, expects: bool) -> None:
    assert good(raw).expects_continue is expects


def test_heads_that_come_again_are_read_once() -> None:
    raw = with_fields(b"X-Same: 1")
    read_head(raw)
    assert read_head(bytes(bytearray(raw))) is read_head(bytes(bytearray(raw)))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[bytes, RequestHead] = {}
    monkeypatch.setattr(heads, "_heads", known)
    monkeypatch.setattr(heads, "_seen", set())
    for number in range(3000):
        read_head(with_fields(b"X-Number: %d" % number))
    assert known == {}  # none of them has come again
    for number in range(6000):
        read_head(with_fields(b"X-Number: %d" % (number // 2)))
    assert 0 < len(known) <= 1024
    assert len(heads._seen) <= 4096
    known.clear()
    for _ in range(2):
        read_head(with_fields(b"X-Long: " + b"a" * 5000))
        read_head(with_fields(b"Content-Length: bad"))
    assert known == {}


def test_a_bad_target_shows_when_it_comes_in_one_piece_with_more() -> None:
    assert partial_fault(b"GET /a\rb HT") == Fault("HPE_INVALID_URL", 400, b"GET /a\rb HT")
    assert partial_fault(b"GET /a\nb HT") == Fault("HPE_INVALID_VERSION", 400, b"GET /a\nb HT")


def test_lines_that_were_good_are_not_read_again() -> None:
    read = b"anything\r\nanything\r\n"
    assert partial_fault(read + b"X: b\r\n", len(read)) is None
    assert partial_fault(read + b"bad\r\n", len(read)) == Fault("HPE_INVALID_HEADER_TOKEN", 400, read + b"bad\r\n")
    assert partial_fault(read + b"a\n", len(read)) == Fault("HPE_INVALID_VERSION", 400, read + b"a\n")


def test_a_line_that_was_read_in_part_is_read_again() -> None:
    start = b"GET / HTTP/1.1\r\nHost: a\r\nba"
    assert partial_fault(start + b"d\r\n", len(start)) == Fault("HPE_INVALID_HEADER_TOKEN", 400, start + b"d\r\n")


@pytest.mark.parametrize(
    ("line", "method", "target", "odd"),
    [
        ("LIST /v1/secret", "LIST", "/v1/secret", ("client-odd:unknown-method",)),
        ("X_Y /", "X_Y", "/", ("client-odd:unknown-method",)),
        ("foo /", "foo", "/", ("client-odd:unknown-method",)),
        ("GET /m\u00fcnchen?q=\u6771", "GET", "/m\u00fcnchen?q=\u6771", ("client-odd:raw-target",)),
        ("LIST /\u00e0", "LIST", "/\u00e0", ("client-odd:unknown-method", "client-odd:raw-target")),
        ("PROPFIND /", "PROPFIND", "/", ()),
    ],
)
def test_what_is_odd_and_good(line: str, method: str, target: str, odd: tuple[str, ...]) -> None:
    raw = f"{line} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    head = good(raw)
    assert (head.method, target_text(head.target), head.odd) == (method, target, odd)
    assert sent_target(target) == head.target
    assert head.target.encode("latin-1") == target.encode()
    assert [partial_fault(raw[:length]) for length in range(1, len(raw) - 1)] == [None] * (len(raw) - 2)


@pytest.mark.parametrize("line", ["CONNECT a.test:443", "GET http://a.test/"])
def test_the_request_line_may_name_the_host(line: str) -> None:
    assert good(f"{line} HTTP/1.1\r\n\r\n".encode()).odd == ("client-odd:no-host",)
    assert good(f"{line} HTTP/1.1\r\nHost: b\r\n\r\n".encode()).odd == ()
    assert isinstance(read_head(f"{line} HTTP/1.1\r\nHost: b\r\nHost: b\r\n\r\n".encode()), Fault)


@pytest.mark.parametrize("line", ["GET /", "OPTIONS *"])
def test_nothing_names_the_host(line: str) -> None:
    assert isinstance(read_head(f"{line} HTTP/1.1\r\n\r\n".encode()), Fault)
