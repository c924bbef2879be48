"""An HTTP/2 server for tests, on the package h2: it sends the responses that a test gives it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
from upstreams import Served


class Asked:
    """A request as the server received it."""

    def __init__(self, stream: int, fields: list[tuple[str, str]]) -> None:
        self.stream = stream
        self.fields = fields
        self.headers = dict(fields)
        self.body = b""
        self.trailers: list[tuple[str, str]] = []


class Answer:
    """A response of the server."""

    def __init__(self, *fields: tuple[str, str], body: bytes = b"", trailers: tuple[tuple[str, str], ...] = ()) -> None:
        self.fields = [(":status", "200"), *fields] if not any(name == ":status" for name, _ in fields) else [*fields]
        self.body = body
        self.trailers = trailers


class Http2:
    """A server for the fixture `upstream`. `answer(connection, request)` returns the response to a complete request;
    None if it has sent one itself, or never sends one."""

    def __init__(self, answer: Callable[[Http2Connection, Asked], Answer | None], streams: int = 100) -> None:
        self.answer = answer
        self.streams = streams
        self.asked: list[Asked] = []
        self.resets: list[int] = []
        """Error codes of the streams that the client reset."""
        self.reset = threading.Event()
        self.at_head: Callable[[Http2Connection, int], None] = lambda connection, stream: None
        """Called when the head of a request has been received, with its stream."""

    def serve(self, served: Served) -> None:
        """Handle one connection."""
        Http2Connection(self, served).run()


class Http2Connection:
    """One connection of the server."""

    def __init__(self, server: Http2, served: Served) -> None:
        self.server = server
        self.sock = served.sock
        self.number = served.number
        self.conn = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, normalize_inbound_headers=False, header_encoding="utf-8")
        )
        settings = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: server.streams}
        self.conn.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        self.open: dict[int, Asked] = {}
        self.waiting: dict[int, Answer] = {}

    def run(self) -> None:
        """Handle events until the client closes the connection."""
        self.conn.initiate_connection()
        self.flush()
        while data := self.sock.recv(65536):
            for event in self.conn.receive_data(data):
                self.take(event)
            self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.conn.data_to_send())

    def take(self, event: Any) -> None:
        """Handle one event of h2."""
        if isinstance(event, h2.events.RequestReceived):
            self.open[event.stream_id] = Asked(event.stream_id, _text(event.headers))
            self.server.at_head(self, event.stream_id)
        elif isinstance(event, h2.events.DataReceived):
            self.open[event.stream_id].body += event.data
            self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.open[event.stream_id].trailers = _text(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            asked = self.open.pop(event.stream_id)
            self.server.asked.append(asked)
            answer = self.server.answer(self, asked)
            if answer is not None:
                self.say(asked.stream, answer)
        elif isinstance(event, h2.events.StreamReset) and event.remote_reset:
            self.waiting.pop(event.stream_id, None)
            self.server.resets.append(event.error_code)
            self.server.reset.set()
        elif isinstance(event, h2.events.WindowUpdated):
            for stream in list(self.waiting):
                self.send(stream)

    def say(self, stream: int, answer: Answer) -> None:
        """Send the head of a response, and as much of its body as the windows allow."""
        self.conn.send_headers(stream, answer.fields, end_stream=not (answer.body or answer.trailers))
        if answer.body or answer.trailers:
            self.waiting[stream] = answer
            self.send(stream)
        self.flush()

    def send(self, stream: int) -> None:
        """Send what is left of a response, as far as the windows allow."""
        answer = self.waiting[stream]
        while answer.body:
            room = min(self.conn.local_flow_control_window(stream), self.conn.max_outbound_frame_size)
            if room <= 0:
                return
            piece, answer.body = answer.body[:room], answer.body[room:]
            self.conn.send_data(stream, piece, end_stream=not (answer.body or answer.trailers))
        if answer.trailers:
            self.conn.send_headers(stream, answer.trailers, end_stream=True)
        del self.waiting[stream]


def _text(fields: Any) -> list[tuple[str, str]]:
    """Return fields as h2 gives them with `header_encoding`: text, where its types also allow bytes."""
    return list(fields)
