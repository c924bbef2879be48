"""The shop's own test suite: `python suite.py URL` exits 0 when all is well."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiohttp


async def suite(url: str) -> None:
    """Raises AssertionError."""
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await _browse(session)
        await _buy(session)
        await _send_photo(session)
        await _read_news(session)
        await _chat(session)


async def _json(session: aiohttp.ClientSession, method: str, path: str, **options: Any) -> Any:
    async with session.request(method, path, **options) as response:
        assert response.content_type == "application/json", response
        return response.status, await response.json()


async def _browse(session: aiohttp.ClientSession) -> None:
    async with session.get("/") as response:
        assert response.status == 200 and "<li>" in await response.text()
    status, found = await _json(session, "GET", "/goods")
    assert (status, len(found)) == (200, 2)
    status, found = await _json(session, "GET", "/goods", params={"least": "1000"})
    assert [one["name"] for one in found] == ["mug"]
    assert (await _json(session, "GET", "/goods/99"))[0] == 404
    async with session.head("/goods/1") as response:
        assert response.status == 200 and int(response.headers["Content-Length"]) > 10


async def _buy(session: aiohttp.ClientSession) -> None:
    async with session.post("/login", data={"user": "ann", "pin": "0"}) as response:
        assert response.status == 403
    async with session.post("/login", data={"user": "ann", "pin": "1234"}) as response:
        assert response.status == 200 and "<h1>ann</h1>" in await response.text()
        assert [one.status for one in response.history] == [302]
    assert await _json(session, "GET", "/orders") == (200, {"orders": []})
    assert await _json(session, "POST", "/cart", json={"id": 1}) == (201, {"cart": [1]})
    assert await _json(session, "POST", "/cart", json={"id": 2}) == (201, {"cart": [1, 2]})
    assert await _json(session, "POST", "/orders") == (201, {"number": 1, "total": 1740})
    assert await _json(session, "GET", "/orders") == (200, {"orders": [{"number": 1, "total": 1740}]})


async def _send_photo(session: aiohttp.ClientSession) -> None:
    form = aiohttp.FormData()
    form.add_field("title", "our mug")
    form.add_field("file", bytes(range(256)) * 40, filename="mug.png", content_type="image/png")
    assert await _json(session, "POST", "/photos", data=form) == (201, {"mug.png": 10240})


async def _read_news(session: aiohttp.ClientSession) -> None:
    async with session.get("/news") as response:
        text = await response.text()
    assert text.count("data:") == 3 and '{"offer": 2}' in text


async def _chat(session: aiohttp.ClientSession) -> None:
    async with session.ws_connect("/chat", params={"who": "ann"}, protocols=("chat",)) as socket:
        assert socket.protocol == "chat"
        assert await socket.receive_json() == {"hello": "ann"}
        await socket.send_str("is there tea?")
        assert await socket.receive_json() == {"you": "is there tea?"}
        assert await socket.receive_json() == {"shop": 13}
        await socket.send_bytes(b"\x01\x02\xff")
        assert await socket.receive_bytes() == b"\xff\x02\x01"
        await socket.send_str("bye")
        closed = await socket.receive()
        assert closed.type is aiohttp.WSMsgType.CLOSE and socket.close_code == 4000
    async with session.ws_connect("/chat") as socket:
        assert await socket.receive_json() == {"hello": "you"}
        await socket.close()


if __name__ == "__main__":
    asyncio.run(suite(sys.argv[1]))
