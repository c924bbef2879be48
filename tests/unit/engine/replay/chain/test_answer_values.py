"""What of an answer may be used later, and where it stands."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.chain.answer_values import values_of

T = "a8f3k2m9x7"


def places(body: str, media: str, target: str = "/users", head: list[list[str]] | None = None) -> dict[str, str]:
    found = values_of(target, [["Content-Type", media], *(head or [])], body, every=False)
    return {one.place: one.text for one in found if one.key}


@pytest.mark.parametrize(
    ("body", "media", "expected"),
    [
        (f'{{"token": "{T}", "page": 1, "lang": "en"}}', "application/json", {"json:$.token": T}),
        (f'{{"a": [{{"b c": "{T}"}}]}}', "application/json", {'json:$.a[0]["b c"]': T}),
        ('{"data": {"id": 7, "ok": true}}', "application/vnd.api+json", {"json:$.data.id": "7"}),
        (f'{{"t": "{T[:5]}\\u006b2m9x7{T}"}}', "application/json", {"json:$.t": T[:5] + "k2m9x7" + T}),
        (f'"{T}"', "application/json", {"json:$": T}),
        (T, "text/plain", {"body": T}),
        (f"access_token={T}&scope=all", "application/x-www-form-urlencoded", {"form:access_token": T}),
        (f'<input name="csrf" value="{T}"><input name=page value=1>', "text/html", {"html:input[csrf]": T}),
        (f"<input type='hidden' value='{T}' name='csrf' >", "text/html", {"html:input[csrf]": T}),
        (f'<meta name="csrf-token" content="{T}">', "text/html", {"html:meta[csrf-token]": T}),
        (f'<r><s:Token xmlns:s="urn:x">{T}</s:Token></r>', "text/xml", {"element:Token": T}),
        (f'var cfg = {{csrfToken: "{T}"}};', "application/javascript", {"text:csrfToken": T}),
        (f'<a href="/users/{T}/edit?x=1&amp;y={T}">', "text/html", {
            "html:a@href/url": f"/users/{T}/edit?x=1&y={T}", "html:a@href/path[2]": T, "html:a@href/query:y": T,
        }),
        (f'data: {{"sessionId": "{T}"}}\n\n', "text/event-stream", {"text:sessionId": T}),
        ("{" * 5000, "application/json", {}),
        (f'{{"broken": "{T}", "x": ', "application/json", {"json:$.broken": T}),
    ],
)  # fmt: skip
def test_values_of_bodies(body: str, media: str, expected: dict[str, str]) -> None:
    found = places(body, media)
    assert {place: found.get(place) for place in expected} == expected
    assert set(found) == set(expected) or "html" in media


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (["Location", "/users/7"], {"header:location/url": "/users/7", "header:location/path[2]": "7"}),
        (["Location", "http://a.test/cb?code=" + T], {
            "header:location/url": f"/cb?code={T}", "header:location/query:code": T,
        }),
        (["Set-Cookie", f"sid={T}; Path=/; HttpOnly"], {"cookie:sid": T}),
        (["Set-Cookie", "lang=en"], {"cookie:lang": "en"}),
        (["ETag", '"1"'], {"header:etag": '"1"'}),
        (["X-CSRF-Token", T], {"header:x-csrf-token": T}),
        (["Authorization", f"Bearer {T}"], {"header:authorization": T}),
        (["Link", f'</users?after={T}>; rel="next", </users>; rel=first'], {
            "header:link[next]/url": f"/users?after={T}", "header:link[next]/query:after": T,
        }),
        (["Date", "Mon, 01 Jan 2026 00:00:00 GMT"], {}),
        (["Content-Length", "4503599627474506"], {}),
    ],
)  # fmt: skip
def test_values_of_heads(field: list[str], expected: dict[str, str]) -> None:
    assert places("", "text/plain", head=[field]) == expected


def test_equal_places_are_numbered_whatever_stands_there() -> None:
    body = f'<input name="csrf" value="x"><input name="csrf" value="{T}">'
    assert places(body, "text/html")["html:input[csrf]#2"] == T


def test_every_value_is_there_when_it_is_asked_for() -> None:
    found = values_of("/u", [["Content-Type", "application/json"]], '{"sku": "plain", "n": 1}', every=True)
    assert {one.place: one.text for one in found} == {"json:$.sku": "plain", "json:$.n": "1"}
