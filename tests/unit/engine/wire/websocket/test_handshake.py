"""The HTTP side of WebSockets: upgrades, keys, subprotocols, and what is agreed about compression."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.http1.request_head import read_head
from mockrec.engine.wire.parts import RequestHead, header_table
from mockrec.engine.wire.websocket.handshake import (
    BAD_EXTENSIONS,
    BAD_KEY,
    BAD_METHOD,
    BAD_UPGRADE,
    BAD_VERSION,
    Deflate,
    accept_headers,
    accept_key,
    agreed,
    check_upgrade,
    negotiate,
    offered_protocols,
    without_others,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def upgrade(line: str = "GET /chat HTTP/1.1", **changed: str | None) -> RequestHead:
    """A good upgrade with some fields changed, or taken out by None."""
    fields: dict[str, str | None] = {
        "Host": "a.test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None), "", ""]
    head = read_head("\r\n".join(lines).encode("latin-1"))
    assert isinstance(head, RequestHead)
    return head


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (upgrade(), ""),
        (upgrade(Upgrade="WebSocket", Connection="keep-alive, upgrade"), ""),
        (upgrade(Sec_WebSocket_Extensions="x; y=1, permessage-deflate"), ""),
        (upgrade("POST /chat HTTP/1.1"), BAD_METHOD),
        (upgrade("GET /chat HTTP/1.0"), BAD_UPGRADE),
        (upgrade(Upgrade=None), BAD_UPGRADE),
        (upgrade(Upgrade="h2c"), BAD_UPGRADE),
        (upgrade(Connection="keep-alive"), BAD_UPGRADE),
        (upgrade(Connection=None), BAD_UPGRADE),
        (upgrade(Sec_WebSocket_Version=None), BAD_VERSION),
        (upgrade(Sec_WebSocket_Version="8"), BAD_VERSION),
        (upgrade(Sec_WebSocket_Version="13, 8"), BAD_VERSION),
        (upgrade(Sec_WebSocket_Key=None), BAD_KEY),
        (upgrade(Sec_WebSocket_Key=""), BAD_KEY),
        (upgrade(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ"), BAD_KEY),
        (upgrade(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j"), BAD_KEY),
        (upgrade(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZSE="), BAD_KEY),
        (upgrade(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j!Q=="), BAD_KEY),
        (upgrade(Sec_WebSocket_Key=KEY + ", " + KEY), BAD_KEY),
        (upgrade(Sec_WebSocket_Extensions="a b"), BAD_EXTENSIONS),
    ],
)
def test_an_upgrade_is_checked(head: RequestHead, code: str) -> None:
    assert check_upgrade(head) == code


@pytest.mark.parametrize(
    ("method", "protocol", "version", "code"),
    [
        ("CONNECT", "websocket", "13", ""),
        ("GET", "websocket", "13", BAD_METHOD),
        ("CONNECT", "", "13", BAD_UPGRADE),
        ("CONNECT", "connect-udp", "13", BAD_UPGRADE),
        ("CONNECT", "websocket", "8", BAD_VERSION),
    ],
)
def test_an_extended_connect_needs_no_key(method: str, protocol: str, version: str, code: str) -> None:
    raw = [["sec-websocket-version", version]]
    head = RequestHead(method, "/chat", "2.0", raw, header_table(raw))
    head.upgrade = protocol
    assert check_upgrade(head) == code


def test_the_key_is_accepted_as_in_the_rfc() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, ()),
        ("", ()),
        ("chat", ("chat",)),
        ("chat, superchat", ("chat", "superchat")),
        (" a ,,\tb,", ("a", "b")),
    ],
)
def test_subprotocols_are_listed_in_order(value: str | None, names: tuple[str, ...]) -> None:
    assert offered_protocols({} if value is None else {"sec-websocket-protocol": value}) == names


def test_repeated_subprotocol_fields_are_one_list() -> None:
    raw = [["Sec-WebSocket-Protocol", "a"], ["sec-websocket-protocol", "b, c"]]
    assert offered_protocols(header_table(raw)) == ("a", "b", "c")


def test_an_acceptance_has_what_was_chosen_and_no_more() -> None:
    proof = ["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
    plain = [["Upgrade", "websocket"], ["Connection", "Upgrade"], proof]
    chosen = [["Sec-WebSocket-Protocol", "chat"], ["Sec-WebSocket-Extensions", "permessage-deflate"]]
    assert accept_headers(KEY, "", "") == plain
    assert accept_headers(KEY, "chat", "permessage-deflate") == plain + chosen
    assert accept_headers("", "chat", "permessage-deflate") == chosen


# ── permessage-deflate ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("offer", "deflate", "answer"),
    [
        ("permessage-deflate", Deflate(), ""),
        ("permessage-deflate; client_max_window_bits", Deflate(), ""),
        (
            "permessage-deflate; client_max_window_bits=10",
            Deflate(client_max_window_bits=10),
            "; client_max_window_bits=10",
        ),
        (
            'permessage-deflate;server_max_window_bits="9"',
            Deflate(server_max_window_bits=9),
            "; server_max_window_bits=9",
        ),
        (
            "permessage-deflate ; server_max_window_bits = 8",
            Deflate(server_max_window_bits=8),
            "; server_max_window_bits=8",
        ),
        (
            "permessage-deflate; client_no_context_takeover",
            Deflate(client_no_context_takeover=True),
            "; client_no_context_takeover",
        ),
        (
            "permessage-deflate; client_max_window_bits=15; server_no_context_takeover; server_max_window_bits=12;"
            "client_no_context_takeover",
            Deflate(True, True, 12, 15),
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"
            "; client_max_window_bits=15",
        ),
        (
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            Deflate(server_max_window_bits=10),
            "; server_max_window_bits=10",
        ),
        ("permessage-deflate; server_max_window_bits=7, permessage-deflate", Deflate(), ""),
        ("permessage-deflate; mystery, x-other; a=b, , permessage-deflate", Deflate(), ""),
    ],
)
def test_the_first_good_offer_is_accepted(offer: str, deflate: Deflate, answer: str) -> None:
    found = negotiate(offer)
    assert found == (deflate, "permessage-deflate" + answer)
    assert agreed(found[1], offer) == deflate, "our own client would refuse it"


@pytest.mark.parametrize(
    "parameters",
    [
        "mystery",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=10",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=+9",
        "server_max_window_bits=9.0",
        "client_max_window_bits=0",
        "client_max_window_bits=x",
        "SERVER_NO_CONTEXT_TAKEOVER",
    ],
)
def test_a_wrong_parameter_declines_the_offer_and_spoils_the_answer(parameters: str) -> None:
    field = "permessage-deflate; " + parameters
    assert negotiate(field) is None
    with pytest.raises(ValueError, match="malformed parameters"):
        agreed(field, "permessage-deflate; client_max_window_bits")


@pytest.mark.parametrize("offer", ["", ", ,", "x-webkit-deflate-frame", "Permessage-Deflate"])
def test_without_an_offer_nothing_is_agreed(offer: str) -> None:
    assert negotiate(offer) is None


MALFORMED = pytest.mark.parametrize(
    "field",
    [
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; a=",
        'permessage-deflate; a="b',
        'permessage-deflate; a="b c"',
        "permessage-deflate x",
        "permessage-deflate; a b",
        "; a",
        "permessage-deflate, a/b",
        "permessage-deflate\n",
    ],
)


@MALFORMED
def test_a_malformed_field_offers_nothing(field: str) -> None:
    assert negotiate(field) is None
    assert without_others(field) == ""
    with pytest.raises(ValueError, match="malformed extensions"):
        agreed(field, "permessage-deflate")


def test_a_long_field_is_read_in_linear_time() -> None:
    for field in ("a;" * 50_000, "a" * 100_000 + "/", 'a;b="' * 20_000, "a" + " " * 100_000 + "/", "a; b " * 20_000):
        assert negotiate(field) is None


@pytest.mark.parametrize(
    ("offer", "answer", "deflate"),
    [
        ("permessage-deflate", "", None),
        ("", "", None),
        ("permessage-deflate", "permessage-deflate", Deflate()),
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover", Deflate(True)),
        ("permessage-deflate", "permessage-deflate; client_no_context_takeover", Deflate(False, True)),
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=9", Deflate(server_max_window_bits=9)),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate", Deflate()),
        (
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=9",
            Deflate(server_max_window_bits=9),
        ),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=8",
            Deflate(client_max_window_bits=8),
        ),
        (
            "permessage-deflate, permessage-deflate; client_max_window_bits",
            'permessage-deflate; client_max_window_bits="11"',
            Deflate(client_max_window_bits=11),
        ),
    ],
)
def test_an_answer_says_what_is_agreed(offer: str, answer: str, deflate: Deflate | None) -> None:
    assert agreed(answer, offer) == deflate


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("", "permessage-deflate"),
        ("x-other", "permessage-deflate"),
        ("permessage-deflate; mystery", "permessage-deflate"),
        ("permessage-deflate", "x-other"),
        ("permessage-deflate", "permessage-deflate, permessage-deflate"),
        ("permessage-deflate", "permessage-deflate, x-other"),
        ("permessage-deflate", "permessage-deflate; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits"),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=11"),
    ],
)
def test_an_answer_that_was_not_offered_is_an_error(offer: str, answer: str) -> None:
    with pytest.raises(ValueError):
        agreed(answer, offer)


@pytest.mark.parametrize(
    ("offer", "kept"),
    [
        ("", ""),
        ("x-other", ""),
        ("permessage-deflate", "permessage-deflate"),
        ('x-other; a=b,permessage-deflate;  a="c" , y', 'permessage-deflate;  a="c"'),
        (
            "permessage-deflate; server_max_window_bits=9 ,permessage-deflate,",
            "permessage-deflate; server_max_window_bits=9, permessage-deflate",
        ),
    ],
)
def test_offers_of_other_extensions_are_taken_out(offer: str, kept: str) -> None:
    assert without_others(offer) == kept
