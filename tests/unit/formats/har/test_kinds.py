"""Resource types and initiators, by the request and by the response."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.formats.har.kinds import initiator, is_navigation, resource_type

PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
IMAGES = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


def of(response_of: str = "", method: str = "GET", status: int = 200, **headers: str) -> str:
    return resource_type(
        method, {name.replace("_", "-"): value for name, value in headers.items()}, status, response_of
    )


@pytest.mark.parametrize(
    ("destination", "kind"),
    [
        ("document", "document"), ("iframe", "document"), ("frame", "document"), ("style", "stylesheet"),
        ("script", "script"), ("worker", "script"), ("serviceworker", "script"), ("image", "image"), ("font", "font"),
        ("audio", "media"), ("video", "media"), ("track", "texttrack"), ("manifest", "manifest"), ("empty", "fetch"),
        ("report", "other"), ("json", "script"),
    ],
)  # fmt: skip
def test_what_browsers_say(destination: str, kind: str) -> None:
    assert of("text/html", sec_fetch_dest=destination) == kind, "a page of an error changes nothing"
    assert of("", status=0, sec_fetch_dest=destination) == kind, "nor that there was no answer"


@pytest.mark.parametrize(
    ("kind", "client_headers"),
    [
        ("xhr", {"x_requested_with": "XMLHttpRequest"}),
        ("eventsource", {"accept": "text/event-stream"}),
        ("fetch", {"accept": "text/event-stream", "method": "POST"}),
        ("fetch", {"accept": "*/*"}),
        ("wasm", {"response_of": "application/wasm"}),
        ("ping", {"ping_to": "https://a.test/"}),
        ("preflight", {"method": "OPTIONS", "access_control_request_method": "PUT"}),
        ("prefetch", {"sec_purpose": "prefetch"}),
    ],
)
def test_scripts_requests(kind: str, client_headers: dict[str, str]) -> None:
    assert of(sec_fetch_dest="empty", **client_headers) == kind
    if kind not in ("wasm", "fetch"):
        assert of(**{"response_of": "text/plain", **client_headers}) == kind, "without Sec-Fetch-Dest too"


@pytest.mark.parametrize(
    ("accept", "response_of", "kind"),
    [
        (PAGE, "text/html", "document"), (PAGE, "application/pdf", "document"), (IMAGES, "text/html", "image"),
        ("text/css,*/*;q=0.1", "text/html; charset=utf-8", "stylesheet"), ("*/*", "text/css", "stylesheet"),
        ("*/*", "text/javascript; charset=utf-8", "script"), ("*/*", "image/png", "image"),
        ("*/*", "font/woff2", "font"), ("*/*", "application/font-woff", "font"), ("*/*", "video/mp4", "media"),
        ("*/*", "application/json", "fetch"), ("*/*", "application/vnd.api+json", "fetch"),
        ("", "application/grpc-web+proto", "fetch"), ("", "text/plain", "fetch"), ("", "", "fetch"),
        ("", "text/html", "document"), ("application/json", "text/html", "fetch"), ("", "application/zip", "other"),
        ("", "application/octet-stream", ""), ("text/event-stream", "text/event-stream", "eventsource"),
        # Java's HttpURLConnection sends this in all requests.
        ("text/html, image/gif, image/jpeg, */*; q=.2", "application/json", "fetch"),
    ],
)  # fmt: skip
def test_clients_that_do_not_say_it(accept: str, response_of: str, kind: str) -> None:
    assert of(response_of, accept=accept) == kind


def test_no_type_without_an_indication() -> None:
    assert of("", status=0) == ""
    assert of("", status=0, accept="*/*") == ""
    assert of("", status=0, accept=IMAGES) == "image"


@pytest.mark.parametrize("value", [7, None, ["a"], {}])
def test_values_of_any_type_are_taken(value: Any) -> None:
    names = ("accept", "sec-fetch-dest", "sec-purpose", "purpose", "x-requested-with", "referer", "content-type")
    request = dict.fromkeys(names, value)
    assert resource_type("GET", request, 200, "text/css") == "stylesheet"
    assert initiator("fetch", request) is None
    assert not is_navigation(request)


@pytest.mark.parametrize(
    ("kind", "headers", "expected"),
    [
        ("fetch", {"referer": "https://a.test/x"}, {"type": "script", "url": "https://a.test/x"}),
        ("image", {"referer": "https://a.test/a.css"}, {"type": "parser", "url": "https://a.test/a.css"}),
        ("document", {"referer": "https://a.test/", "sec-fetch-dest": "iframe"}, {"type": "parser", "url": "https://a.test/"}),
        ("document", {"referer": "https://a.test/", "sec-fetch-dest": "document"}, {"type": "other", "url": "https://a.test/"}),
        ("preflight", {}, {"type": "preflight"}),
        ("fetch", {}, None),
        ("fetch", {"referer": "about:blank"}, None),
    ],
)  # fmt: skip
def test_initiators(kind: str, headers: dict[str, str], expected: dict[str, str] | None) -> None:
    assert initiator(kind, headers) == expected
