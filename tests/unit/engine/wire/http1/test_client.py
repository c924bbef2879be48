"""HTTP/1 as a client sees it: the bytes of requests, and parts from the bytes of servers."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.http1.client import H1Client
from mockrec.engine.wire.parts import Data, End, Fault, Interim, Part, ResponsePart

LIMIT = 256
STEPS = pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
HOST = [["Host", "a.test"]]


def asked(method: str = "GET", *, limit: int = LIMIT) -> H1Client:
    """A client that has sent a request without a body."""
    client = H1Client(limit)
    client.send_request(method, "/", HOST, body=False)
    return client


def ok(*fields: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *fields, "", ""]).encode("latin-1")


FIVE = ok("Content-Length: 5")
CHUNKED = ok("Transfer-Encoding: chunked")
HEAD_OF_LIMIT = ok("X: " + "a" * (LIMIT - len(ok("X: "))))


def read(client: H1Client, raw: bytes, step: int = 10_000) -> list[Part]:
    """All parts of bytes that come in pieces; pieces of data are joined."""
    parts: list[Part] = []
    for at in range(0, len(raw), step):
        for part in client.receive(raw[at : at + step]):
            if isinstance(part, Data) and parts and isinstance(parts[-1], Data):
                part = Data(parts.pop().data + part.data)  # type: ignore[union-attr]
            parts.append(part)
    return parts


def statuses(parts: list[Part]) -> list[int]:
    return [part.head.status for part in parts if isinstance(part, (Interim, ResponsePart))]


def only_code(parts: list[Part]) -> str:
    (fault,) = parts
    assert isinstance(fault, Fault)
    return fault.code


# ── requests ───────────────────────────────────────────────────────────────────────────────────────


def test_a_request_is_written_as_it_is_given() -> None:
    raw_headers = [["x-B", "1"], ["HOST", "a"], ["X-a", " \xe9"], ["x-b", ""]]
    sent = H1Client(LIMIT).send_request("Odd", "/a?b=|%zz", raw_headers, body=False)
    assert sent == b"Odd /a?b=|%zz HTTP/1.1\r\nx-B: 1\r\nHOST: a\r\nX-a:  \xe9\r\nx-b: \r\n\r\n"


def test_a_body_by_length_goes_out_as_it_is() -> None:
    client = H1Client(LIMIT)
    client.send_request("POST", "/", [*HOST, ["Content-Length", "4"]], body=True)
    assert [client.send_data(b"ab"), client.send_data(b""), client.send_data(b"cd")] == [b"ab", b"", b"cd"]
    assert client.send_end([["X", "y"]]) == b""


def test_a_chunked_body_goes_out_in_chunks_with_its_trailers() -> None:
    client = H1Client(LIMIT)
    client.send_request("POST", "/", [["transfer-ENCODING", "chunked"]], body=True)
    assert client.send_data(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert client.send_data(b"") == b""  # an empty chunk would be the last one
    assert client.send_end([["x-Sum", "1"], ["X-sum", "2"]]) == b"0\r\nx-Sum: 1\r\nX-sum: 2\r\n\r\n"


def test_the_framing_is_that_of_the_request_at_hand() -> None:
    client = H1Client(LIMIT)
    client.send_request("POST", "/", [["Transfer-Encoding", "chunked"]], body=True)
    client.send_end()
    read(client, FIVE + b"hello")
    client.send_request("POST", "/", [["Content-Length", "2"]], body=True)
    assert client.send_data(b"ab") + client.send_end() == b"ab"


@pytest.mark.parametrize(
    ("method", "target", "field"),
    [
        ("GET", "/", ["X", "a\r\nY: b"]),
        ("GET", "/", ["X", "a\nb"]),
        ("GET", "/", ["X", "a\0b"]),
        ("GET", "/", ["X y", "a"]),
        ("GET", "/", ["", "a"]),
        ("GET", "/", ["X", "→"]),
        ("GET", "/a b", ["X", "y"]),
        ("GET", "/ HTTP/1.1\r\nX: y\r\n\r\nGET /", ["X", "y"]),
        ("GET", "/\t", ["X", "y"]),
        ("GET", "/→", ["X", "y"]),
        ("GET", "", ["X", "y"]),
        ("GET /x", "/", ["X", "y"]),
        ("", "/", ["X", "y"]),
    ],
)
def test_what_would_break_a_head_apart_is_refused_and_changes_nothing(
    method: str, target: str, field: list[str]
) -> None:
    client = H1Client(LIMIT)
    with pytest.raises(ValueError):
        client.send_request(method, target, [field], body=True)
    assert client.reusable
    assert client.send_request("GET", "/", HOST, body=False) == b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"


# ── framing of responses (RFC 9112, 6.3) ───────────────────────────────────────────────────────────


@STEPS
def test_a_body_by_length(step: int) -> None:
    client = asked()
    response, *rest = read(client, FIVE + b"hello", step)
    assert isinstance(response, ResponsePart)
    assert (response.head.status, response.head.reason, response.keep_alive) == (200, "OK", True)
    assert rest == [Data(b"hello"), End()]
    assert client.reusable


@STEPS
def test_a_chunked_body_with_trailers(step: int) -> None:
    client = asked()
    raw = CHUNKED + b"5;x=y\r\nhello\r\n01\r\n!\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n"
    assert read(client, raw, step)[1:] == [Data(b"hello!"), End([["X-Sum", "1"], ["x-sum", "2"]])]
    assert client.reusable


@STEPS
def test_a_body_that_ends_with_the_connection(step: int) -> None:
    client = asked()
    response, data = read(client, ok() + b"hello", step)
    assert isinstance(response, ResponsePart)
    assert not response.keep_alive
    assert data == Data(b"hello")
    assert not client.reusable
    assert client.receive_eof() == [End()]
    assert client.receive_eof() == []
    assert not client.reusable


def test_a_body_that_ends_with_the_connection_may_be_empty() -> None:
    client = asked()
    assert len(read(client, ok())) == 1
    assert client.receive_eof() == [End()]


@STEPS
@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", FIVE),
        ("HEAD", CHUNKED),
        ("HEAD", ok()),
        ("GET", ok("Content-Length: 5", status="304 Not Modified")),
        ("GET", ok("Transfer-Encoding: chunked", status="304 Not Modified")),
        ("GET", ok(status="204 No Content")),
        ("DELETE", ok("Content-Length: 0", status="204 No Content")),
        ("GET", ok("Content-Length: 0")),
    ],
)
def test_a_response_without_a_body_ends_with_its_head(method: str, head: bytes, step: int) -> None:
    client = asked(method)
    response, end = read(client, head, step)
    assert isinstance(response, ResponsePart)
    assert end == End()
    assert client.reusable


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_response_that_may_not_have_the_body_it_announces_is_the_last(framing: str) -> None:
    client = asked()
    assert read(client, ok(framing, status="204 No Content"))[1:] == [End()]
    assert not client.reusable


@STEPS
def test_a_tunnel_begins_behind_the_head(step: int) -> None:
    client = asked("CONNECT")
    response, end = read(client, ok("Content-Length: 5") + b"first bytes", step)
    assert isinstance(response, ResponsePart)
    assert end == End()
    assert client.rest == b"first bytes"


def test_a_refused_tunnel_has_a_body() -> None:
    assert read(asked("CONNECT"), ok("Content-Length: 2", status="403 No") + b"no")[1:] == [Data(b"no"), End()]


@STEPS
@pytest.mark.parametrize("fields", [("Content-Length: 5", "content-length: 5"), ("Content-Length: 5, 5",)])
def test_equal_lengths_count_as_one(fields: tuple[str, ...], step: int) -> None:
    client = asked()
    assert read(client, ok(*fields) + b"hello", step)[1:] == [Data(b"hello"), End()]
    assert client.reusable


@STEPS
def test_chunks_are_believed_more_than_a_length_but_once(step: int) -> None:
    client = asked()
    response, *rest = read(client, ok("Content-Length: 3", "Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\n", step)
    assert isinstance(response, ResponsePart)
    assert not response.keep_alive
    assert rest == [Data(b"a"), End([])]
    assert not client.reusable


@STEPS
@pytest.mark.parametrize(
    ("head", "code"),
    [
        (ok("Content-Length: 5, 6"), "HPE_INVALID_CONTENT_LENGTH"),
        (ok("Content-Length: x"), "HPE_INVALID_CONTENT_LENGTH"),
        (ok("Transfer-Encoding: gzip, chunked"), "HPE_INVALID_TRANSFER_ENCODING"),
        (ok("Content-Length:\r\n 5"), "HPE_INVALID_HEADER_TOKEN"),
        (ok("bad line"), "HPE_INVALID_HEADER_TOKEN"),
        (ok(status="2000 OK"), "HPE_INVALID_CONSTANT"),
        (ok("Upgrade: websocket", "Connection: upgrade", status="101 Switching"), "HPE_UNEXPECTED_SWITCH"),
    ],
)
def test_a_head_that_is_none_is_a_fault_with_its_bytes(head: bytes, code: str, step: int) -> None:
    client = asked()
    (fault,) = read(client, head + b"5\r\nhello\r\n", step)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.raw) == (code, head)
    assert fault.detail
    assert client.receive_eof() == []
    assert not client.reusable


@STEPS
@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-x\r\n", b"\x15\x03\x01\x00\x02", b"\rHTTP/1.1 200 OK\r\n\r\n", b"HTTQ", b"\r\nHTTQ"]
)
def test_another_protocol_is_a_fault_at_once(raw: bytes, step: int) -> None:
    client = asked()
    assert only_code(read(client, raw, step)) == "HPE_INVALID_CONSTANT"
    assert not client.reusable


@STEPS
def test_bad_chunks_are_a_fault_behind_what_was_good(step: int) -> None:
    client = asked()
    assert read(client, CHUNKED + b"2\r\nab\r\nzz\r\n", step)[1:] == [Data(b"ab"), Fault("HPE_INVALID_CHUNK_SIZE")]
    assert client.receive_eof() == []
    assert not client.reusable


@STEPS
def test_bare_line_feeds_end_the_lines_of_a_head(step: int) -> None:
    client = asked()
    assert read(client, b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab", step)[1:] == [Data(b"ab"), End()]
    assert client.reusable


# ── interim responses ──────────────────────────────────────────────────────────────────────────────


@STEPS
def test_interim_responses_come_before_the_final_one(step: int) -> None:
    client = asked()
    raw = ok(status="100 Continue") + ok("Link: </a>", "Content-Length: 9", status="103 Early Hints") + FIVE + b"hello"
    first, second, response, *rest = read(client, raw, step)
    assert isinstance(first, Interim)
    assert isinstance(second, Interim)
    assert second.head.raw_headers == [["Link", "</a>"], ["Content-Length", "9"]]
    assert statuses([first, second, response]) == [100, 103, 200]
    assert rest == [Data(b"hello"), End()]
    assert client.reusable


def test_a_flood_of_interim_responses_is_no_answer() -> None:
    *interims, fault = read(asked(), ok(status="103 Early Hints") * 1001 + FIVE)
    assert statuses(interims) == [103] * 1000
    assert only_code([fault]) == "HPE_HEADER_OVERFLOW"


def test_an_interim_response_alone_is_no_answer() -> None:
    client = asked()
    assert statuses(read(client, ok(status="102 Processing"))) == [102]
    assert not client.answered
    assert only_code(client.receive_eof()) == "ECONNRESET"


def test_a_fault_behind_an_interim_response_follows_it() -> None:
    interim, fault = read(asked(), ok(status="100 Continue") + b"garbage")
    assert isinstance(interim, Interim)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.raw) == ("HPE_INVALID_CONSTANT", b"garbage")


@STEPS
def test_empty_lines_before_a_response_are_skipped_and_named(step: int) -> None:
    client = asked()
    response, *rest = read(client, b"\r\n\n\r\n" + FIVE + b"hello", step)
    assert isinstance(response, ResponsePart)
    assert response.head.odd == ("empty-lines",)
    assert b"".join([part.data for part in rest if isinstance(part, Data)]) == b"hello"
    assert not client.reusable


def test_a_server_that_says_nothing_but_empty_lines_is_not_listened_to() -> None:
    client = asked()
    parts = [part for _ in range(2000) for part in client.receive(b"\r\n")]
    assert only_code(parts) == "HPE_HEADER_OVERFLOW"


@STEPS
def test_odd_chunks_of_a_server_are_read_and_named(step: int) -> None:
    client = asked()
    _, *rest = read(client, CHUNKED + b"000a  \nhellohello\n0\nX : y\n\n", step)
    end = rest.pop()
    assert b"".join([part.data for part in rest if isinstance(part, Data)]) == b"hellohello"
    assert end == End([["X", "y"]], odd=("chunk-bare-lf", "chunk-padded-size", "space-before-colon"))


# ── limits ─────────────────────────────────────────────────────────────────────────────────────────


@STEPS
def test_a_head_may_be_as_long_as_the_limit(step: int) -> None:
    client = asked()
    assert statuses(read(client, HEAD_OF_LIMIT, step)) == [200]


@STEPS
@pytest.mark.parametrize("raw", [HEAD_OF_LIMIT[:-4] + b"a\r\n\r\n", HEAD_OF_LIMIT[:-4] + b"a" * 1000])
def test_a_longer_head_is_a_fault(raw: bytes, step: int) -> None:
    (fault,) = read(asked(), raw, step)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.raw) == ("HPE_HEADER_OVERFLOW", raw[:LIMIT])


@STEPS
def test_the_limit_is_for_each_head(step: int) -> None:
    interim = HEAD_OF_LIMIT.replace(b" 200 ", b" 103 ")
    assert statuses(read(asked(), interim * 3 + HEAD_OF_LIMIT, step)) == [103, 103, 103, 200]


@STEPS
def test_trailers_have_the_same_limit(step: int) -> None:
    parts = read(asked(), CHUNKED + b"0\r\nX: " + b"a" * LIMIT, step)
    assert only_code(parts[1:]) == "HPE_HEADER_OVERFLOW"


def test_a_body_has_none() -> None:
    assert read(asked(), ok("Content-Length: 1000") + bytes(1000))[1:] == [Data(bytes(1000)), End()]


# ── the server's end ───────────────────────────────────────────────────────────────────────────────


def test_a_server_that_hangs_up_without_a_word() -> None:
    client = asked()
    assert client.receive_eof() == [Fault("ECONNRESET", status=0)]
    assert not client.answered
    assert not client.reusable
    assert client.receive_eof() == []


@pytest.mark.parametrize("cut", range(1, len(FIVE)))
def test_an_end_inside_a_head_is_a_fault_with_what_came(cut: int) -> None:
    client = asked()
    assert client.receive(FIVE[:cut]) == []
    assert client.answered
    assert client.receive_eof() == [Fault("HPE_INVALID_EOF_STATE", status=0, raw=FIVE[:cut])]


@pytest.mark.parametrize(
    "raw",
    [
        FIVE,
        FIVE + b"hell",
        CHUNKED,
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
        CHUNKED + b"0\r\nX: y\r\n",
    ],
)
def test_an_end_inside_a_body_is_a_fault(raw: bytes) -> None:
    client = asked()
    read(client, raw)
    assert client.receive_eof() == [Fault("HPE_INVALID_EOF_STATE", status=0)]
    assert client.receive_eof() == []
    assert not client.reusable


def test_an_end_behind_a_response_is_no_fault_but_the_last_word() -> None:
    client = asked()
    read(client, FIVE + b"hello")
    assert client.reusable
    assert client.receive_eof() == []
    assert not client.reusable


# ── one after another ──────────────────────────────────────────────────────────────────────────────


def test_a_connection_carries_one_request_after_another() -> None:
    client = H1Client(LIMIT)
    assert client.reusable
    for raw in (FIVE + b"hello", CHUNKED + b"0\r\n\r\n", ok(status="204 No Content"), FIVE + b"again"):
        client.send_request("GET", "/", HOST, body=False)
        assert not client.reusable
        assert not client.answered
        parts = read(client, raw, 5)
        assert client.answered
        assert isinstance(parts[-1], End)
        assert client.reusable


def test_a_connection_is_not_reusable_before_the_request_is_complete() -> None:
    client = H1Client(LIMIT)
    client.send_request("POST", "/", [*HOST, ["Content-Length", "2"]], body=True)
    client.send_data(b"a")
    read(client, FIVE + b"early")
    assert not client.reusable
    client.send_data(b"b")
    client.send_end()
    assert client.reusable


@STEPS
@pytest.mark.parametrize(
    ("method", "raw"),
    [("GET", FIVE + b"hello"), ("GET", CHUNKED + b"0\r\n\r\n"), ("HEAD", FIVE), ("GET", ok(status="304 Not Modified"))],
)
def test_bytes_behind_a_response_belong_to_nobody(method: str, raw: bytes, step: int) -> None:
    client = asked(method)
    parts = read(client, raw + b"HTTP/1.1 200 smuggled\r\n\r\n", step)
    assert statuses(parts) in ([200], [304])
    assert isinstance(parts[-1], End)
    assert client.rest == b"HTTP/1.1 200 smuggled\r\n\r\n"
    assert not client.reusable


def test_bytes_that_come_before_a_request_belong_to_nobody() -> None:
    client = H1Client(LIMIT)
    assert client.receive(FIVE) == []
    assert not client.reusable


@STEPS
@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (ok("Content-Length: 5", "Connection: close"), False),
        (ok("Content-Length: 5", version="1.0"), False),
        (ok("Content-Length: 5", "Connection: Keep-Alive", version="1.0"), True),
    ],
)
def test_the_server_says_whether_the_connection_goes_on(head: bytes, reusable: bool, step: int) -> None:
    client = asked()
    response, *_ = read(client, head + b"hello", step)
    assert isinstance(response, ResponsePart)
    assert response.keep_alive is reusable
    assert client.reusable is reusable


def test_a_head_that_is_repeated_is_read_once() -> None:
    """And means what it means for the request at hand."""
    client = asked()
    first, *_ = read(client, FIVE + b"hello")
    client.send_request("HEAD", "/", HOST, body=False)
    again, *rest = read(client, FIVE)
    assert isinstance(first, ResponsePart)
    assert isinstance(again, ResponsePart)
    assert again.head is first.head
    assert rest == [End()]
    client.send_request("GET", "/", HOST, body=False)
    other, *_ = read(client, ok("Content-Length: 4") + b"hell")
    assert isinstance(other, ResponsePart)
    assert other.head.headers == {"content-length": "4"}
