"""HTTP/1 as a server sees it: parts from bytes, and the bytes of answers."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.http1.server import FramingError, H1Server
from mockrec.engine.wire.http1.states import REQUEST_STATES, RESPONSE_STATES
from mockrec.engine.wire.parts import Data, End, Fault, Part, RequestPart

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
OLD_GET = b"GET / HTTP/1.0\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n"
LIMIT = 256


def post(*fields: bytes, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"POST /p HTTP/" + version, b"Host: a.test", *fields, b"", b""])


CHUNKED = post(b"Transfer-Encoding: chunked")


def targets(parts: list[Part]) -> list[str]:
    return [part.head.target for part in parts if isinstance(part, RequestPart)]


def server(raw: bytes = b"") -> H1Server:
    """A server that has read `raw`."""
    made = H1Server(LIMIT)
    if raw:
        made.receive(raw)
    return made


def answer(to: H1Server, status: int = 200, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> bytes:
    """A whole answer with a body of known length."""
    out = to.send_head(to.frame(status, "Reason", headers, len(body), DATE))
    if body:
        out += to.send_data(body)
    return out + to.send_end()


# ── requests ───────────────────────────────────────────────────────────────────────────────────────


def test_a_request_without_a_body_is_complete_at_once() -> None:
    request, end = server().receive(GET)
    assert isinstance(request, RequestPart)
    assert (request.head.method, request.head.target, request.head.version) == ("GET", "/", "1.1")
    assert end == End()


def test_a_head_may_come_byte_by_byte() -> None:
    one = server()
    seen = [one.receive(GET[at : at + 1]) for at in range(len(GET))]
    assert seen[:-1] == [[]] * (len(GET) - 1)
    assert targets(seen[-1]) == ["/"]


@pytest.mark.parametrize("cut", range(1, 8))
def test_empty_lines_before_a_request_are_ignored(cut: int) -> None:
    raw = b"\r\n\r\n\r\n" + GET
    one = server()
    assert targets(one.receive(raw[:cut]) + one.receive(raw[cut:])) == ["/"]


def test_a_body_by_length_comes_as_it_arrives() -> None:
    one = server()
    assert one.receive(post(b"Content-Length: 5") + b"he")[1:] == [Data(b"he")]
    assert one.reading_body
    assert one.receive(b"l") == [Data(b"l")]
    assert one.receive(b"lo") == [Data(b"lo"), End()]
    assert not one.reading_body


def test_a_head_alone_announces_its_body() -> None:
    one = server()
    (request,) = one.receive(post(b"Content-Length: 5"))
    assert isinstance(request, RequestPart)
    assert one.reading_body


def test_a_length_of_zero_is_no_body() -> None:
    assert server().receive(post(b"Content-Length: 0"))[1:] == [End()]


def test_a_post_without_framing_has_no_body() -> None:
    one = server()
    assert one.receive(post() + b"body")[1:] == [End()]
    assert one.buffered == len(b"body")


def test_a_chunked_body_loses_its_framing() -> None:
    one = server()
    assert one.receive(CHUNKED + b"5;x=y\r\nhel")[1:] == [Data(b"hel")]
    assert one.receive(b"lo\r\n1\r\n!\r\n0\r") == [Data(b"lo"), Data(b"!")]
    assert one.reading_body
    assert one.receive(b"\n\r\n") == [End([])]
    assert not one.reading_body


def test_trailers_come_with_the_end() -> None:
    *_, end = server().receive(CHUNKED + b"0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n")
    assert end == End([["X-Sum", "1"], ["x-sum", "2"]])


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"zz\r\n", "HPE_INVALID_CHUNK_SIZE"), (b"0\r\nbad trailer\r\n\r\n", "HPE_INVALID_HEADER_TOKEN")],
)
def test_a_bad_chunk_ends_everything(body: bytes, code: str) -> None:
    one = server(CHUNKED + b"2\r\nab\r\n")
    assert one.receive(body + GET) == [Fault(code)]
    assert one.receive(GET) == []
    assert one.receive_eof() == []
    assert not one.reading_body
    assert not one.reusable


def test_an_answer_can_be_complete_before_the_request() -> None:
    one = server(post(b"Content-Length: 4") + b"ab")
    answer(one)
    assert not one.reusable
    assert one.receive(b"cd") == [Data(b"cd"), End()]
    assert one.reusable


def test_a_bad_head_is_a_fault_and_nothing_more() -> None:
    one = server()
    raw = b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"
    assert one.receive(raw + GET) == [Fault("HPE_INVALID_HEADER_TOKEN", 400, raw)]
    assert one.receive(GET) == []
    assert one.receive_eof() == []


def test_a_fault_does_not_wait_for_the_rest_of_the_head() -> None:
    assert server().receive(b"\x16\x03\x01") == [Fault("HPE_INVALID_METHOD", 400, b"\x16\x03\x01")]


def test_a_bare_line_feed_never_ends_a_head() -> None:
    (fault,) = server().receive(b"GET / HTTP/1.1\r\nHost: a\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert isinstance(fault, Fault)
    assert fault.code == "HPE_INVALID_VERSION"


def test_a_bare_line_feed_never_ends_trailers() -> None:
    one = server(CHUNKED)
    assert one.receive(b"0\r\nX: y\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") == [Fault("HPE_INVALID_HEADER_TOKEN")]


# ── limits ─────────────────────────────────────────────────────────────────────────────────────────


def long_head(size: int) -> bytes:
    start = GET[:-2] + b"X: "
    return start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, LIMIT - 1, LIMIT, 10_000])
def test_a_head_may_be_as_long_as_the_limit(step: int) -> None:
    one, raw = server(), long_head(LIMIT)
    parts = [part for at in range(0, len(raw), step) for part in one.receive(raw[at : at + step])]
    assert targets(parts) == ["/"]


@pytest.mark.parametrize("step", [1, 7, LIMIT - 1, LIMIT, 10_000])
def test_a_longer_head_is_431(step: int) -> None:
    one, raw = server(), long_head(LIMIT + 1)
    parts = [part for at in range(0, len(raw), step) for part in one.receive(raw[at : at + step])]
    assert parts == [Fault("HPE_HEADER_OVERFLOW", 431, raw[:LIMIT])]


@pytest.mark.parametrize("step", [1, 10_000])
def test_a_target_without_end_is_431(step: int) -> None:
    one, raw = server(), b"GET /" + b"a" * 2 * LIMIT
    parts = [part for at in range(0, len(raw), step) for part in one.receive(raw[at : at + step])]
    assert parts == [Fault("HPE_HEADER_OVERFLOW", 431, raw[:LIMIT])]


@pytest.mark.parametrize("step", [1, 10_000])
def test_a_fault_inside_the_limit_comes_before_the_length(step: int) -> None:
    one, raw = server(), GET[:-2] + b"bad line\r\n" + b"X: " + b"a" * LIMIT
    parts = [part for at in range(0, len(raw), step) for part in one.receive(raw[at : at + step])]
    assert [part.code for part in parts if isinstance(part, Fault)] == ["HPE_INVALID_HEADER_TOKEN"]


def test_the_limit_is_for_each_head() -> None:
    one = server()
    for _ in range(3):
        assert targets(one.receive(long_head(LIMIT))) == ["/"]
        answer(one)
        one.next_request()


def test_trailers_have_the_same_limit() -> None:
    one = server(CHUNKED)
    assert one.receive(b"0\r\nX: " + b"a" * LIMIT) == [Fault("HPE_HEADER_OVERFLOW", 431)]


# ── the peer's end ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"\r\n\r\n", b"\r"])
def test_an_end_between_requests_is_no_fault(raw: bytes) -> None:
    assert server(raw).receive_eof() == []


def test_an_end_inside_a_head_is_a_fault() -> None:
    assert server(b"GET / HT").receive_eof() == [Fault("HPE_INVALID_EOF_STATE", 0, b"GET / HT")]


@pytest.mark.parametrize(
    "raw",
    [
        post(b"Content-Length: 5"),
        post(b"Content-Length: 5") + b"hell",
        CHUNKED,
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"0\r\n",
        CHUNKED + b"0\r\nX: y\r\n",
    ],
)
def test_an_end_inside_a_body_is_a_fault(raw: bytes) -> None:
    one = server(raw)
    assert one.receive_eof() == [Fault("HPE_INVALID_EOF_STATE", 0)]
    assert one.receive_eof() == []
    assert not one.reading_body


def test_an_end_behind_a_request_is_no_fault_until_more_has_begun() -> None:
    one = server(GET + b"GET /half")
    assert one.receive_eof() == []
    answer(one)
    assert one.next_request() == []
    assert one.receive_eof() == [Fault("HPE_INVALID_EOF_STATE", 0, b"GET /half")]


# ── one after another ──────────────────────────────────────────────────────────────────────────────


def numbered(number: int, body: bytes = b"") -> bytes:
    return b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (number, len(body), body)


def test_a_connection_carries_one_request_after_another() -> None:
    one = server()
    for number in range(3):
        assert targets(one.receive(numbered(number))) == [f"/{number}"]
        answer(one)
        assert one.reusable
        assert one.next_request() == []
        assert not one.reusable


def test_pipelined_requests_wait_for_the_answer() -> None:
    one = server()
    assert targets(one.receive(numbered(0) + numbered(1) + numbered(2)[:10])) == ["/0"]
    assert one.buffered == len(numbered(1)) + 10
    assert one.receive(numbered(2)[10:]) == []
    answer(one)
    assert targets(one.next_request()) == ["/1"]
    answer(one)
    assert targets(one.next_request()) == ["/2"]
    answer(one)
    assert one.next_request() == []
    assert one.buffered == 0


@pytest.mark.parametrize("first", [numbered(0, b"body"), CHUNKED + b"4\r\nbody\r\n0\r\n\r\n"])
def test_a_request_behind_a_body_passes_the_same_checks(first: bytes) -> None:
    one = server()
    assert one.receive(first + numbered(1, b"x") + b"GET / HTTP/1.1\r\nHost: a\n\r\n\r\n")[1:] == [
        Data(b"body"),
        End([]) if b"chunked" in first else End(),
    ]
    assert one.buffered > 0
    answer(one)
    assert one.next_request()[1:] == [Data(b"x"), End()]
    answer(one)
    (fault,) = one.next_request()
    assert isinstance(fault, Fault)
    assert fault.code == "HPE_INVALID_VERSION"


def test_what_arrives_in_pieces_behind_a_body_keeps_its_order() -> None:
    one = server(numbered(0, b"body") + numbered(1)[:8])
    one.receive(numbered(1)[8:20])
    one.receive(numbered(1)[20:])
    answer(one)
    assert targets(one.next_request()) == ["/1"]


def test_a_head_begun_is_told_from_a_connection_at_rest() -> None:
    one = server()
    assert not one.head_begun
    one.receive(GET[:5])
    assert one.head_begun
    one.receive(GET[5:] + GET[:5])
    assert not one.head_begun
    answer(one)
    one.next_request()
    assert one.head_begun


def test_what_is_pending_is_the_head_begun() -> None:
    one = server(GET[:5])
    assert one.pending == GET[:5]
    one.receive(GET[5:] + b"next")
    assert one.pending == b""
    answer(one)
    one.next_request()
    assert one.pending == b"next"


@pytest.mark.parametrize("raw", [OLD_GET, post(b"Connection: close"), post(b"Connection: keep-alive", version=b"1.0")])
def test_a_connection_ends_when_the_client_says_so(raw: bytes) -> None:
    one = server(raw)
    assert b"Connection: close\r\n" in answer(one)
    assert not one.reusable


def test_a_connection_ends_when_the_answer_says_so() -> None:
    one = server(GET)
    answer(one, headers=(("Connection", "close"),))
    assert not one.reusable


def test_expect_waits_for_the_body_to_be_asked_for() -> None:
    one = server()
    (request,) = one.receive(post(b"Expect: 100-continue", b"Content-Length: 2"))
    assert isinstance(request, RequestPart)
    assert request.head.expects_continue
    assert one.send_interim(100, "Continue", ()) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert one.receive(b"ab") == [Data(b"ab"), End()]
    answer(one)
    assert one.reusable


@pytest.mark.parametrize("framing", [b"Content-Length: 2", b"Transfer-Encoding: chunked"])
def test_a_refused_expectation_leaves_the_body_unread(framing: bytes) -> None:
    one = server(post(b"Expect: 100-continue", framing))
    answer(one, 417)
    assert not one.reusable


def test_a_refused_upgrade_leaves_the_connection_open() -> None:
    one = server(post(b"Connection: upgrade", b"Upgrade: websocket"))
    answer(one, 426)
    assert one.reusable
    assert one.next_request() == []


# ── answers ────────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_answer_as_it_stands_on_the_wire() -> None:
    one = server(GET)
    assert answer(one, headers=(("Content-Type", "text/plain"),), body=b"hello") == (
        b"HTTP/1.1 200 Reason\r\n"
        b"Content-Type: text/plain\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Content-Length: 5\r\n"
        b"\r\n"
        b"hello"
    )


FIELDS = (
    ("x-LOWER", "1"),
    ("connection", "X-Hop, close"),
    ("HOST", "moved.test"),
    ("set-Cookie", "a=1"),
    ("date", "never"),
    ("Set-cookie", "b=\xe9\t "),
    ("empty", ""),
    ("CONTENT-length", "2"),
    ("Host", "again.test"),
)


@pytest.mark.parametrize("raw", [GET, OLD_GET, HEAD, post(b"Connection: close")])
def test_fields_go_out_in_the_case_and_order_given(raw: bytes) -> None:
    one = server(raw)
    head = one.frame(200, "", FIELDS, 2, DATE)
    expected = "".join(f"{name}: {value}\r\n" for name, value in FIELDS).encode("latin-1")
    assert one.send_head(head) == b"HTTP/1.1 200 \r\n" + expected + b"\r\n"


@pytest.mark.parametrize("raw", [GET, OLD_GET, HEAD, post(b"Connection: close")])
@pytest.mark.parametrize("status", [200, 204, 304, 404])
@pytest.mark.parametrize("length", [None, 0, 3])
@pytest.mark.parametrize("connection", ["close", "keep-alive", "X, Y", "keep-alive, close"])
def test_a_framed_head_is_what_goes_out(raw: bytes, status: int, length: int | None, connection: str) -> None:
    one = server(raw)
    head = one.frame(status, "Reason", (("HOST", "a"), ("connection", connection), ("X", "y")), length, DATE)
    lines = [f"{name}: {value}" for name, value in head.raw_headers]
    assert one.send_head(head) == "\r\n".join([f"HTTP/1.1 {status} Reason", *lines, "", ""]).encode()
    assert head.headers == {name.lower(): value for name, value in head.raw_headers}


def test_a_date_of_the_rule_is_kept() -> None:
    one = server(GET)
    assert b"DATE: then\r\n" in (out := answer(one, headers=(("DATE", "then"),)))
    assert out.lower().count(b"date:") == 1


def test_a_body_of_unknown_length_goes_out_in_chunks() -> None:
    one = server(GET)
    head = one.frame(200, "OK", (("Content-Length", "9"),), None, DATE)
    assert one.send_head(head) == f"HTTP/1.1 200 OK\r\nDate: {DATE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert one.send_data(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert one.send_data(b"") == b""
    assert one.send_end() == b"0\r\n\r\n"
    assert one.reusable


def test_trailers_go_out_in_the_case_and_order_given() -> None:
    one = server(GET)
    one.send_head(one.frame(200, "OK", (), None, DATE))
    trailers = (("x-B", "1"), ("HOST", "a"), ("X-a", "2"), ("content-length", "x"))
    assert one.send_end(trailers) == b"0\r\nx-B: 1\r\nHOST: a\r\nX-a: 2\r\ncontent-length: x\r\n\r\n"
    assert one.reusable


@pytest.mark.parametrize(("raw", "length"), [(OLD_GET, None), (HEAD, None), (GET, 0)])
def test_trailers_are_left_out_where_nothing_is_chunked(raw: bytes, length: int | None) -> None:
    one = server(raw)
    one.send_head(one.frame(200, "OK", (), length, DATE))
    assert one.send_end((("X", "y"),)) == b""


def test_an_http_1_0_client_learns_the_end_from_the_connection() -> None:
    one = server(OLD_GET)
    head = one.frame(200, "OK", (("Transfer-Encoding", "chunked"),), None, DATE)
    assert head.raw_headers == [["Date", DATE], ["Connection", "close"]]
    one.send_head(head)
    assert one.send_data(b"plain") == b"plain"
    assert one.send_end() == b""
    assert not one.reusable


def test_a_rule_that_asks_for_chunks_gets_them_alone() -> None:
    head = server(GET).frame(200, "OK", (("transfer-encoding", "chunked"), ("content-length", "5")), 5, DATE)
    assert head.raw_headers == [["transfer-encoding", "chunked"], ["Date", DATE]]


@pytest.mark.parametrize("given", [("gzip",), ("gzip, chunked",), ("chunked", "chunked")])
def test_a_coding_that_we_do_not_make_is_not_announced(given: tuple[str, ...]) -> None:
    head = server(GET).frame(200, "OK", tuple(("transfer-encoding", coding) for coding in given), 5, DATE)
    assert head.raw_headers == [["Date", DATE], ["Transfer-Encoding", "chunked"]]


@pytest.mark.parametrize("length", [5, None])
def test_an_answer_to_head_has_the_framing_of_the_body_but_no_body(length: int | None) -> None:
    one = server(HEAD)
    assert one.bodiless
    head = one.frame(200, "OK", (), length, DATE)
    framing = "Content-Length: 5" if length else "Transfer-Encoding: chunked"
    assert one.send_head(head) == f"HTTP/1.1 200 OK\r\nDate: {DATE}\r\n{framing}\r\n\r\n".encode()
    assert one.send_end() == b""
    assert one.reusable


def test_only_answers_to_head_are_without_a_body() -> None:
    assert not server(GET).bodiless
    assert not server().bodiless


@pytest.mark.parametrize("length", [0, 5, None])
def test_a_204_has_no_framing(length: int | None) -> None:
    one = server(GET)
    head = one.frame(204, "No Content", (("Content-Length", "5"), ("Transfer-Encoding", "chunked")), length, DATE)
    assert one.send_head(head) == f"HTTP/1.1 204 No Content\r\nDate: {DATE}\r\n\r\n".encode()
    assert one.send_end() == b""
    assert one.reusable


@pytest.mark.parametrize("length", [0, 5, None])
def test_a_304_tells_a_length_only_if_the_rule_does(length: int | None) -> None:
    assert server(GET).frame(304, "", (("Transfer-Encoding", "chunked"),), length, DATE).headers == {"date": DATE}
    one = server(GET)
    one.send_head(head := one.frame(304, "", (("Content-Length", "5"),), length, DATE))
    assert head.headers == {"date": DATE, "content-length": "5"}
    assert one.send_end() == b""
    assert one.reusable


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ((), ["close"]),
        ((("Connection", "keep-alive"),), ["close"]),
        ((("Connection", "Keep-Alive, X-B"), ("connection", "x-a,")), ["close, x-a, x-b"]),
        ((("Connection", "X-A"), ("Connection", "Close")), ["X-A", "Close"]),
        ((("Connection", "close, keep-alive"),), ["close"]),
    ],
)
def test_a_closing_connection_says_close_once(given: tuple[tuple[str, str], ...], sent: list[str]) -> None:
    head = server(post(b"Connection: close")).frame(200, "OK", given, 0, DATE)
    assert [value for name, value in head.raw_headers if name.lower() == "connection"] == sent


def test_an_open_connection_keeps_what_the_rule_says_of_it() -> None:
    head = server(GET).frame(200, "OK", (("connection", "Keep-Alive"),), 0, DATE)
    assert ["connection", "Keep-Alive"] in head.raw_headers


def test_heads_are_told_apart_by_the_framing_key() -> None:
    keys = [server(raw).framing_key for raw in (GET, post(b"Connection: close"), OLD_GET)]
    assert len(set(keys)) == 3
    assert server(GET).framing_key == server(HEAD).framing_key == server(CHUNKED).framing_key


def test_a_head_serves_every_request_with_its_framing_key() -> None:
    one, other = server(GET), server(HEAD)
    head = one.frame(200, "OK", (), 2, DATE)
    first = one.send_head(head) + one.send_data(b"ab") + one.send_end()
    one.next_request()
    one.receive(GET)
    assert one.send_head(head) + one.send_data(b"ab") + one.send_end() == first
    assert first == other.send_head(head) + other.send_end() + b"ab"


def test_interim_answers_come_before_the_final_one() -> None:
    one = server(GET)
    early = one.send_interim(103, "Early Hints", [("link", "</a>"), ("HOST", "b"), ("Link", "</c>")])
    assert early == b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nHOST: b\r\nLink: </c>\r\n\r\n"
    assert one.send_interim(102, "Processing", ()) == b"HTTP/1.1 102 Processing\r\n\r\n"
    assert answer(one).startswith(b"HTTP/1.1 200 ")
    assert one.reusable


@pytest.mark.parametrize(
    ("reason", "headers"),
    [
        ("OK", (("X", "a\r\nSet-Cookie: b"),)),
        ("OK", (("X", "a\nb"),)),
        ("OK", (("X", "a\rb"),)),
        ("OK", (("X", "a\0b"),)),
        ("OK", (("X y", "a"),)),
        ("OK", (("X:", "a"),)),
        ("OK", (("X\r\n", "a"),)),
        ("OK", (("", "a"),)),
        ("OK", (("X", "→"),)),
        ("O\r\nK", ()),
        ("→", ()),
    ],
)
def test_what_would_break_a_head_apart_is_refused(reason: str, headers: tuple[tuple[str, str], ...]) -> None:
    one = server(GET)
    with pytest.raises(ValueError):
        one.frame(200, reason, headers, 0, DATE)
    with pytest.raises(ValueError):
        one.send_interim(103, reason, headers)
    answer(one)
    assert one.reusable


def test_trailers_that_break_apart_are_refused() -> None:
    one = server(GET)
    one.send_head(one.frame(200, "OK", (), None, DATE))
    with pytest.raises(ValueError):
        one.send_end((("X", "a\r\nb"),))


# ── states ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("states", [REQUEST_STATES, RESPONSE_STATES])
def test_a_table_has_a_row_for_every_state_that_it_leads_to(states: dict[type, dict[str, type]]) -> None:
    assert {state for row in states.values() for state in row.values()} | {next(iter(states))} == set(states)


def test_what_a_response_may_not_send_is_an_error_of_the_caller() -> None:
    one = server(GET)
    with pytest.raises(FramingError, match="'data' is not allowed while the response is SEND_RESPONSE"):
        one.send_data(b"x")
    with pytest.raises(FramingError):
        one.next_request()
    head = one.frame(200, "", (), 2, DATE)
    one.send_head(head)
    for again in (
        lambda: one.send_head(head),
        lambda: one.send_whole(head, b"ab"),
        lambda: one.send_interim(103, "", ()),
    ):
        with pytest.raises(FramingError):
            again()


@pytest.mark.parametrize(("raw", "status"), [(GET, 200), (HEAD, 200), (GET, 204), (GET, 304)])
def test_content_that_differs_from_its_length_is_an_error_of_the_caller(raw: bytes, status: int) -> None:
    has_content = (raw, status) == (GET, 200)
    one = server(raw)
    head = one.frame(status, "", (), 2, DATE)
    with pytest.raises(FramingError):
        one.send_whole(head, b"abc")
    one = server(raw)
    one.send_head(head)
    if has_content:
        with pytest.raises(FramingError, match="shorter"):
            one.send_end()
        one.send_data(b"ab")
    with pytest.raises(FramingError, match="longer"):
        one.send_data(b"c")


@pytest.mark.parametrize("length", ["x", "-1", "2, 3", "2,", "²"])
def test_a_length_that_is_no_number_is_an_error_of_the_caller(length: str) -> None:
    one = server(GET)
    head = one.frame(200, "", (("Content-Length", length),), 2, DATE)
    with pytest.raises(FramingError):
        one.send_whole(head, b"ab")


def test_a_repeated_length_is_one_length() -> None:
    one = server(GET)
    assert one.send_whole(one.frame(200, "", (("Content-Length", "2, 2"),), 2, DATE), b"ab").endswith(b"\r\n\r\nab")
    assert one.reusable


def test_another_protocol_ends_the_exchanges() -> None:
    one = server(post(b"Connection: upgrade", b"Upgrade: websocket"))
    head = one.frame(101, "Switching Protocols", (), 0, DATE)
    assert one.send_switch(head).startswith(b"HTTP/1.1 101 ")
    assert one.receive(b"\x81\x00") == []
    assert one.take_rest() == b"\x81\x00"
    assert not one.reusable


# ── another server's answers ───────────────────────────────────────────────────────────────────────


def relayed(raw: bytes, *headers: tuple[str, str], status: int = 200, length: int | None = None) -> list[list[str]]:
    """The fields of a head that another server has sent."""
    return server(raw).frame(status, "OK", headers, length, "").raw_headers


@pytest.mark.parametrize(
    ("raw", "status", "headers", "length"),
    [
        (GET, 200, (("X", "y"), ("content-LENGTH", "5")), 5),
        (GET, 200, (("transfer-Encoding", "CHUNKED"), ("X", "y")), None),
        (GET, 200, (("date", "then"), ("Content-Length", "0")), 0),
        (GET, 204, (("X", "y"),), None),
        (GET, 304, (("Content-Length", "5"), ("X", "y")), None),
        (HEAD, 200, (("X", "y"),), 0),
        (HEAD, 200, (("X", "y"),), None),
        (HEAD, 200, (("Content-Length", "5"),), 0),
        (HEAD, 200, (("Transfer-Encoding", "chunked"),), 0),
    ],
)
def test_a_head_that_needs_nothing_gets_nothing(
    raw: bytes, status: int, headers: tuple[tuple[str, str], ...], length: int | None
) -> None:
    assert relayed(raw, *headers, status=status, length=length) == [list(pair) for pair in headers]


def test_a_body_that_ended_with_the_connection_goes_on_in_chunks() -> None:
    assert relayed(GET, ("X", "y")) == [["X", "y"], ["Transfer-Encoding", "chunked"]]
    assert relayed(OLD_GET, ("X", "y")) == [["X", "y"], ["Connection", "close"]]


def test_a_body_that_is_there_at_once_gets_its_length() -> None:
    assert relayed(GET, ("X", "y"), length=5) == [["X", "y"], ["Content-Length", "5"]]


def test_a_length_beside_chunks_is_not_passed_on() -> None:
    fields = (("Content-Length", "5"), ("Transfer-Encoding", "chunked"))
    assert relayed(GET, *fields, length=5) == [["Transfer-Encoding", "chunked"]]
    assert relayed(HEAD, *fields) == [["Transfer-Encoding", "chunked"]]


@pytest.mark.parametrize(("raw", "status"), [(GET, 200), (HEAD, 200), (GET, 304)])
@pytest.mark.parametrize(
    "fields",
    [
        (("X", "y"), ("content-length", "5"), ("Content-Length", "5")),
        (("X", "y"), ("content-length", "5, 5")),
        (("X", "y"), ("content-length", "5,5"), ("content-length", "5")),
    ],
)
def test_a_repeated_length_is_passed_on_once(raw: bytes, status: int, fields: tuple[tuple[str, str], ...]) -> None:
    assert relayed(raw, *fields, status=status, length=5) == [["X", "y"], ["content-length", "5"]]


@pytest.mark.parametrize("raw", [GET, HEAD, OLD_GET])
@pytest.mark.parametrize("status", [200, 204, 304, 404])
@pytest.mark.parametrize("fields", [(), (("Content-Length", "3"),), (("Transfer-Encoding", "chunked"),)])
def test_a_head_that_is_passed_on_can_be_sent_piece_by_piece(
    raw: bytes, status: int, fields: tuple[tuple[str, str], ...]
) -> None:
    one = server(raw)
    out = one.send_head(one.frame(status, "OK", fields, None, ""))
    bodiless = raw == HEAD or status in (204, 304)
    if not bodiless:
        out += one.send_data(b"abc")
    out += one.send_end()
    assert b"abc" not in out if bodiless else b"abc" in out
    assert b"date" not in out.lower()
    assert one.reusable is (raw != OLD_GET)


# ── tunnels ────────────────────────────────────────────────────────────────────────────────────────

CONNECT = b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_what_comes_behind_a_request_for_a_tunnel_is_taken_out(step: int) -> None:
    one, raw = server(), CONNECT + b"\x16\x03\x01\r\n\r\nGET"
    parts = [part for at in range(0, len(raw), step) for part in one.receive(raw[at : at + step])]
    assert targets(parts) == ["a.test:443"]
    assert one.take_rest() == b"\x16\x03\x01\r\n\r\nGET"
    assert one.take_rest() == b""
    assert one.buffered == 0
