"""Records of connections that carry no exchange: what is in them, and that they are as the schema says."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine import clock
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.connection_log import ConnectionLog, ConnectionTimes, FailureCause, Kind, TunnelLog
from mockrec.formats.schema.events import EVENT_TYPES

CONNECTION = "01890a5d-ac00-7000-8000-000000000001"
PEER = ClientConnection(CONNECTION, "127.0.0.1", 50000, 8000, tags=("socket-metadata:x",))
DESTINATION = {"hostname": "a.test", "port": 443}
HELLO = {"sniHostname": "a.test", "clientAlpn": ["h2"], "ja3Fingerprint": "e7d7", "ja4Fingerprint": "t13d"}


def connection_log(stage: Any, *types: str, keeps_data: bool = True, limit: int = 8) -> ConnectionLog:
    kept = frozenset(types or EVENT_TYPES)
    return ConnectionLog(stage.log, kept, BodyEncoder("decoded", limit), keeps_data=keeps_data)


def tunnel(to: ConnectionLog, kind: Kind = "raw-passthrough", peer: ClientConnection = PEER) -> TunnelLog:
    return to.tunnel(kind, peer, ConnectionTimes(clock.now()), DESTINATION, HELLO)


# ── times ──────────────────────────────────────────────────────────────────────────────────────────


def test_only_milestones_that_were_reached_are_logged() -> None:
    start = int(clock.wall(1.5))
    times = ConnectionTimes(1.5)
    assert times.record() == {"startTime": start, "connectTimestamp": 1.5}
    assert times.entered(2.5).record(failureTimestamp=9.5) == {
        "startTime": start,
        "connectTimestamp": 1.5,
        "tunnelTimestamp": 2.5,
        "failureTimestamp": 9.5,
    }
    assert times.secured(3.5).record() == {"startTime": start, "connectTimestamp": 1.5, "handshakeTimestamp": 3.5}
    assert times.record() == {"startTime": start, "connectTimestamp": 1.5}


def test_a_handshake_before_a_tunnel_is_not_that_of_the_inner_connection() -> None:
    times = ConnectionTimes(1.5).secured(2.5).entered(3.5)
    assert (times.connect, times.tunnel, times.handshake) == (1.5, 3.5, None)
    assert times.secured(4.5).record().keys() == {
        "startTime",
        "connectTimestamp",
        "tunnelTimestamp",
        "handshakeTimestamp",
    }


# ── TLS that fails ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "cause", ["closed", "reset", "cert-rejected", "no-shared-cipher", "handshake-timeout", "unknown"]
)
def test_a_failed_handshake(stage: Any, cause: FailureCause) -> None:
    began = clock.now()
    connection_log(stage).tls_client_error(PEER, ConnectionTimes(began).entered(began), cause, DESTINATION, HELLO)
    (record,) = stage.log.records
    assert record["failureCause"] == cause
    assert (record["connectionId"], record["remoteIpAddress"], record["remotePort"]) == (
        CONNECTION,
        "127.0.0.1",
        50000,
    )
    assert record["destination"] == DESTINATION
    assert record["tlsMetadata"] == HELLO
    assert record["tags"] == ["socket-metadata:x"]
    timing = record["timingEvents"]
    assert timing["connectTimestamp"] == timing["tunnelTimestamp"] == began <= timing["failureTimestamp"]


@pytest.mark.parametrize("metadata", [None, {}])
def test_unknown_details_of_a_failure_are_left_out(stage: Any, metadata: dict[str, Any] | None) -> None:
    connection_log(stage).tls_client_error(PEER, ConnectionTimes(clock.now()), "closed", None, metadata)
    assert not {"destination", "tlsMetadata"} & stage.log.only("tls-client-error").keys()


def test_failures_have_ids_of_their_own(stage: Any) -> None:
    log = connection_log(stage)
    for _ in range(2):
        log.tls_client_error(PEER, ConnectionTimes(clock.now()), "closed", None, None)
    assert len({record["id"] for record in stage.log.records}) == 2


# ── tunnels ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["raw-passthrough", "tls-passthrough"])
def test_a_tunnel_from_its_opening_to_its_end(stage: Any, kind: Kind) -> None:
    one = tunnel(connection_log(stage), kind)
    one.data("received", b"abc")
    one.data("sent", b"de")
    one.data("received", b"f")
    one.closed()
    opened, *pieces, closed = stage.log.records
    assert [opened["type"], closed["type"]] == [f"{kind}-opened", f"{kind}-closed"]
    for record in (opened, closed):
        assert record["destination"] == DESTINATION
        assert (record["remoteIpAddress"], record["remotePort"]) == ("127.0.0.1", 50000)
        assert record["tags"] == ["socket-metadata:x"]
    assert (closed["bytesReceived"], closed["bytesSent"]) == (4, 2)
    assert len({(record["id"], record["connectionId"]) for record in stage.log.records}) == 1
    assert "disconnectTimestamp" not in opened["timingEvents"]
    assert closed["timingEvents"]["disconnectTimestamp"] >= opened["timingEvents"]["connectTimestamp"]
    if kind == "tls-passthrough":
        assert pieces == []
        assert opened["tlsMetadata"] == closed["tlsMetadata"] == HELLO
    else:
        assert "tlsMetadata" not in {*opened, *closed}
        assert [(piece["direction"], piece["content"]) for piece in pieces] == [
            ("received", {"size": 3, "text": "abc"}),
            ("sent", {"size": 2, "text": "de"}),
            ("received", {"size": 1, "text": "f"}),
        ]


def test_a_broken_tunnel_is_tagged_with_the_error(stage: Any) -> None:
    one = tunnel(connection_log(stage), "tls-passthrough")
    one.closed("ECONNREFUSED", "X")
    assert stage.log.only("tls-passthrough-opened")["tags"] == ["socket-metadata:x"]
    assert stage.log.only("tls-passthrough-closed")["tags"] == [
        "socket-metadata:x",
        "tls-passthrough-error:ECONNREFUSED",
        "tls-passthrough-error:X",
    ]


def test_tunnels_have_ids_of_their_own(stage: Any) -> None:
    log = connection_log(stage)
    tunnel(log)
    tunnel(log)
    assert len({record["id"] for record in stage.log.records}) == 2


def test_data_is_kept_up_to_the_limit_of_bodies(stage: Any) -> None:
    tunnel(connection_log(stage, limit=4)).data("sent", b"abcdefgh")
    assert stage.log.only("raw-passthrough-data")["content"] == {"size": 8, "text": "abcd", "truncated": True}


def test_data_that_is_no_text_is_base64(stage: Any) -> None:
    tunnel(connection_log(stage)).data("sent", b"\xff\x00")
    assert stage.log.only("raw-passthrough-data")["content"] == {"size": 2, "base64": "/wA="}


def test_data_is_only_counted_if_it_is_not_kept(stage: Any) -> None:
    tunnel(connection_log(stage, keeps_data=False)).data("sent", b"secret")
    assert stage.log.only("raw-passthrough-data")["content"] == {"size": 6, "text": "", "truncated": True}


# ── what is wanted ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "kind",
    ["raw-passthrough-opened", "raw-passthrough-data", "raw-passthrough-closed", "tls-client-error", "request"],
)
def test_only_wanted_types_are_logged(stage: Any, kind: str) -> None:
    log = connection_log(stage, kind)
    assert log.wants_data is (kind == "raw-passthrough-data")
    log.tls_client_error(PEER, ConnectionTimes(clock.now()), "closed", None, None)
    one = tunnel(log)
    one.data("received", b"abc")
    one.closed()
    assert stage.log.types == ([] if kind == "request" else [kind])


def test_bytes_are_counted_even_if_they_are_not_logged(stage: Any) -> None:
    one = tunnel(connection_log(stage, "raw-passthrough-closed"))
    one.data("received", b"abc")
    one.closed()
    assert stage.log.only("raw-passthrough-closed")["bytesReceived"] == 3
