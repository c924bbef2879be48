"""The states of HTTP/1's server side are those of h11, whatever requests and responses a connection carries."""

from __future__ import annotations

from dataclasses import dataclass

import h11
from hypothesis import given
from hypothesis import strategies as st

from mockrec.engine.wire.http1.server import H1Server

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@dataclass(frozen=True)
class Turn:
    """One request and its response."""

    body: bytes | None
    chunked: bool
    close: bool
    cut: int
    """Bytes of the request that are received first."""
    answer: bytes
    length_known: bool
    whole: bool
    early: bool
    """Whether the response begins before the rest of the request is received."""

    @property
    def data(self) -> bytes:
        fields = [b"Host: a.test", *([b"Connection: close"] if self.close else [])]
        if self.body is None:
            return b"\r\n".join([b"GET / HTTP/1.1", *fields, b"", b""])
        if self.chunked:
            head = b"\r\n".join([b"POST / HTTP/1.1", *fields, b"Transfer-Encoding: chunked", b"", b""])
            return head + (b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b"") + b"0\r\n\r\n"
        return b"\r\n".join([b"POST / HTTP/1.1", *fields, b"Content-Length: %d" % len(self.body), b"", self.body])


TURNS = st.builds(
    Turn,
    body=st.none() | st.binary(max_size=8),
    chunked=st.booleans(),
    close=st.booleans(),
    cut=st.integers(0, 120),
    answer=st.binary(max_size=8),
    length_known=st.booleans(),
    whole=st.booleans(),
    early=st.booleans(),
)


class Pair:
    """Both codecs, which get the same bytes and send the same messages."""

    def __init__(self) -> None:
        self.ours = H1Server(4096)
        self.theirs = h11.Connection(h11.SERVER)

    def receive(self, data: bytes) -> None:
        self.ours.receive(data)
        if data:
            self.theirs.receive_data(data)
        while True:
            event = self.theirs.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.EndOfMessage):
                break

    def compare(self) -> None:
        # h11 notes with the request that the connection will end; here the response says it.
        request = h11.DONE if self.theirs.their_state is h11.MUST_CLOSE else self.theirs.their_state
        assert self.ours._request == str(request)
        response = self.theirs.our_state
        assert self.ours._response == str(h11.SEND_RESPONSE if response is h11.IDLE else response)


@given(st.lists(TURNS, min_size=1, max_size=4))
def test_the_states_are_those_of_h11(turns: list[Turn]) -> None:
    pair = Pair()
    for turn in turns:
        head, rest = turn.data[: turn.cut], turn.data[turn.cut :]
        pair.receive(head)
        pair.compare()
        early = turn.early and pair.theirs.our_state is h11.SEND_RESPONSE
        if not early:
            pair.receive(rest)
            pair.compare()
        length = len(turn.answer) if turn.length_known or turn.whole else None
        fields = [("Content-Length", str(length))] if length is not None else [("Transfer-Encoding", "chunked")]
        framed = pair.ours.frame(200, "OK", (), length, DATE)
        pair.theirs.send(h11.Response(status_code=200, reason=b"OK", headers=fields))
        if turn.whole:
            pair.ours.send_whole(framed, turn.answer)
            pair.theirs.send(h11.Data(data=turn.answer))
            pair.theirs.send(h11.EndOfMessage())
        else:
            pair.ours.send_head(framed)
            pair.compare()
            pair.ours.send_data(turn.answer)
            pair.theirs.send(h11.Data(data=turn.answer))
            pair.compare()
            pair.ours.send_end()
            pair.theirs.send(h11.EndOfMessage())
        if early:
            pair.receive(rest)
        pair.compare()
        if not pair.ours.reusable:
            break
        pair.ours.next_request()
        pair.theirs.start_next_cycle()
        pair.compare()
