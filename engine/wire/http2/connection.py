"""The receiving side that servers (`server.py`) and clients (`client.py`) of HTTP/2 share (RFC 9113, 4 to 6).

h2 receives the frames one by one, so that the parts before a fault are not lost. Frames for which h2 would end the
connection without need are handled here.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, StreamReset, TrailersReceived
from h2.exceptions import DenialOfServiceError, ProtocolError
from h2.settings import SettingCodes

from mockrec.engine.wire.fault_phrases import library_words
from mockrec.engine.wire.http2 import frames
from mockrec.engine.wire.http2.fields import as_text, fields_fault, list_size, repaired
from mockrec.engine.wire.http2.frames import Frame, FrameReader, Violation
from mockrec.engine.wire.http2.limits import HEADER_OVERFLOW
from mockrec.engine.wire.http2.streams import H2Streams, StreamPart, StreamState
from mockrec.engine.wire.parts import Data, End, Fault, GoAway, RawHeaders, ResetPart

HTTP2_ERROR: Final = "ERR_HTTP2_ERROR"

_OF_A_BLOCK: Final = (frames.HEADERS, frames.CONTINUATION, frames.PUSH_PROMISE)


class H2Side(H2Streams):
    """One end of an HTTP/2 connection (RFC 9113, 3), with its receiving side."""

    def __init__(self, *, client: bool, head_limit: int, settings: dict[SettingCodes, int]) -> None:
        super().__init__(client=client, head_limit=head_limit, settings=settings)
        self._reader = FrameReader(preface=not client)
        self._is_client = client

    def receive(self, data: bytes, now: float = 0.0) -> list[StreamPart | Fault | GoAway]:
        """Return the parts that these bytes from the peer complete; they were received at `now` (seconds).

        Nothing follows a `Fault`, and `outgoing` has the GOAWAY (RFC 9113, 5.4.1). The bytes may also have opened
        windows and ended streams: check `window` and `is_open` of streams that wait.
        """
        parts: list[StreamPart | Fault | GoAway] = []
        self._limits.now = now
        if self._broken:
            return parts
        for frame in self._reader.receive(data):
            if isinstance(frame, Violation):
                parts.append(self._break(frame))
            else:
                self._take(frame, parts)
            if parts and isinstance(parts[-1], Fault):
                break
        return parts

    @property
    def inside_head(self) -> bool:
        """Whether a field block is incomplete (RFC 9113, 4.3)."""
        return self._limits.block > 0 or self._reader.inside_head

    def receive_eof(self) -> list[StreamPart | Fault]:
        """The peer will send nothing more. Streams with a complete message stay open (RFC 9113, 5.1)."""
        if self._broken:
            return []
        parts: list[StreamPart | Fault] = []
        for stream in [stream for stream, state in self._streams.items() if state.reading]:
            self._forget(stream)
            parts.append(StreamPart(stream, ResetPart(ErrorCodes.CANCEL, "the connection ended")))
        violation = self._reader.receive_eof()
        if violation is None and self._limits.block:
            violation = Violation(ErrorCodes.PROTOCOL_ERROR, "the connection ended inside a frame")
        if violation is not None:
            parts.append(self._break(violation))
        return parts

    def _take(self, frame: Frame, parts: list[Any]) -> None:
        """Handle one frame: what h2 does not check, or answers too strictly, here; the rest in h2."""
        raw, kind, flags, stream = frame
        violation = self._limits.count_frame()
        if violation is not None:
            pass
        elif kind in _OF_A_BLOCK:
            violation = self._limits.count_block(len(raw), last=bool(flags & frames.END_HEADERS))
        elif self._limits.block or kind < frames.RST_STREAM:
            pass
        elif kind == frames.RST_STREAM and stream:
            violation = self._reset_fault(stream)
        elif kind == frames.SETTINGS:
            violation = self._settings_fault(raw, flags)
        elif kind == frames.WINDOW_UPDATE and stream in self._streams and raw[9:] == bytes(4):
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, "a window was opened by nothing", parts)
            return
        elif kind == frames.GOAWAY and not stream and len(raw) >= 17:
            # h2 ends the connection. But the peer may still wait for responses to its requests (RFC 9113, 6.8).
            last, code = struct.unpack_from(">LL", raw, 9)
            self._gone(GoAway(code, last & 0x7FFFFFFF, raw[17:]), parts)
            return
        if violation is not None:
            parts.append(self._break(violation))
            return
        late = stream not in self._streams and self._is_late(frame)
        try:
            events = self._conn.receive_data(raw)
        except ProtocolError as error:
            parts.append(self._break(violation_of(error), notified=True))
            return
        except Exception as error:  # hyperframe, hpack and h2 raise others for some malformed frames
            parts.append(self._break(Violation(ErrorCodes.PROTOCOL_ERROR, library_words(error))))
            return
        for event in events:
            self._read(event, parts)
        if late:
            self._given_up.append(stream)  # report it once
            reason = "a frame after the end of a stream"
            parts.append(StreamPart(stream, ResetPart(int(ErrorCodes.STREAM_CLOSED), reason, by_peer=False)))

    def _is_late(self, frame: Frame) -> bool:
        """Whether h2 will reset the frame's stream without an event (RFC 9113, 5.1 and 6.1)."""
        return False

    def _read(self, event: Event, parts: list[Any]) -> None:
        if isinstance(event, DataReceived):
            self._data(event, parts)
        elif isinstance(event, TrailersReceived):
            self._trailers(event.stream_id, parts)
        elif isinstance(event, StreamReset) and event.stream_id in self._streams:
            self._forget(event.stream_id)
            reason = "" if event.remote_reset else "a frame that does not belong there"
            parts.append(StreamPart(event.stream_id, ResetPart(int(event.error_code), reason, event.remote_reset)))

    def _data(self, event: DataReceived, parts: list[Any]) -> None:
        stream, data = event.stream_id, event.data
        state = self._streams[stream]
        kept = 0 if state.mute else len(data)
        if event.flow_controlled_length > kept:
            self._acknowledge(event.flow_controlled_length - kept, stream)
        if kept:
            self._limits.progress()
            self._owed[stream] = self._owed.get(stream, 0) + kept
            if state.left >= 0:
                state.left -= kept
                if state.left < 0:
                    self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, "the body is longer than announced", parts)
                    return
            parts.append(StreamPart(stream, Data(data)))
        if event.stream_ended is not None:
            self._ended(stream, state, End(), parts)

    def _trailers(self, stream: int, parts: list[Any]) -> None:
        fields = self._decoder.fields
        odd: tuple[str, ...] = ()
        fault = fields_fault(fields, frozenset())
        if fault and self._is_client:
            fields, odd = repaired(fields)
            fault = fields_fault(fields, frozenset(), odd=True)
        if not fault and list_size(fields) > self._head_limit:
            fault = "the trailers are too large"
        if not fault and self._streams[stream].endless:
            fault = "the trailers do not end the stream"
        if fault:
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, fault, parts)
        else:
            self._ended(stream, self._streams[stream], End(as_text(fields), odd), parts)

    def _ended(self, stream: int, state: StreamState, end: End, parts: list[Any]) -> None:
        """The peer's message is complete (RFC 9113, 8.1)."""
        if state.left > 0:
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, "the body is shorter than announced", parts)
            return
        state.reading = False
        if not state.sending:
            del self._streams[stream]
        if not state.mute:
            parts.append(StreamPart(stream, end))

    def _settings_fault(self, raw: bytes, flags: int) -> Violation | None:
        if flags & frames.ACK and len(raw) > 9:
            return Violation(ErrorCodes.FRAME_SIZE_ERROR, "an acknowledgement with settings")
        return self._limits.count_settings(len(raw) - 9)

    def _reset_fault(self, stream: int) -> Violation | None:
        """Return the fault in the peer's RST_STREAM (RFC 9113, 6.4), or None."""
        conn = self._conn
        highest = conn.highest_outbound_stream_id if self._client else conn.highest_inbound_stream_id
        if stream > highest or stream % 2 == 0:
            return Violation(ErrorCodes.PROTOCOL_ERROR, f"stream {stream} was reset before it began")
        # A server may refuse any request, and stop an upload that it has responded to. Only a client's resets of open
        # streams are counted.
        if self._client or stream not in self._streams:
            return None
        return self._limits.count_reset()

    def _refuse(self, stream: int, code: ErrorCodes, reason: str, parts: list[Any], head: RawHeaders = ()) -> None:
        """Reset a stream for a fault of the peer (RFC 9113, 5.4.2); `head`: the fields, if the head is at fault."""
        self._end(stream, code)
        parts.append(StreamPart(stream, ResetPart(int(code), reason, by_peer=False, raw_headers=head)))

    def _gone(self, notice: GoAway, parts: list[Any]) -> None:
        """The peer sent a GOAWAY (RFC 9113, 6.8)."""
        parts.append(notice)

    def _break(self, violation: Violation, *, notified: bool = False) -> Fault:
        """End the connection (RFC 9113, 5.4.1). `notified`: h2 has written the GOAWAY already."""
        code, detail, tag = violation
        self._shut(code, notified=notified)
        return _fault(int(code), detail, tag)


def violation_of(error: ProtocolError) -> Violation:
    """Return the violation for which h2, or the decoder of fields, ends the connection."""
    tag = HEADER_OVERFLOW if isinstance(error, DenialOfServiceError) else ""
    return Violation(ErrorCodes(error.error_code), library_words(error), tag)


def stream_fault(reset: ResetPart) -> Fault:
    """Return the fault for which the codec reset a stream (RFC 9113, 5.4.2), for the log."""
    fault = _fault(reset.code, reset.reason)
    fault.raw_headers = reset.raw_headers
    return fault


def code_name(code: int) -> str:
    """Return the name of an error code (RFC 9113, 7), or its number if it has none."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"0x{code:x}"


def _fault(code: int, detail: str, tag: str = "") -> Fault:
    return Fault(HTTP2_ERROR, status=0, detail=f"{detail} ({code_name(code)})", error=code, tag=tag)
