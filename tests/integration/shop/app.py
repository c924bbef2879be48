"""A small web shop with aiohttp: JSON API, HTML, redirects, cookies, file upload, SSE and WebSocket.

`python app.py PORTFILE [--change WHAT]`: listens on a free port of loopback and writes its number there.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

GOODS = {1: {"id": 1, "name": "tea", "price": 450}, 2: {"id": 2, "name": "mug", "price": 1290}}


class Shop:
    """Its state begins anew with every process."""

    def __init__(self) -> None:
        self.carts: dict[str, list[int]] = {}
        self.orders: list[dict[str, Any]] = []
        self.photos: dict[str, int] = {}


async def home(request: web.Request) -> web.Response:
    rows = "".join(f"<li><a href='/goods/{one['id']}'>{one['name']}</a></li>" for one in GOODS.values())
    return web.Response(text=f"<!doctype html><title>Shop</title><ul>{rows}</ul>", content_type="text/html")


async def goods(request: web.Request) -> web.Response:
    least = int(request.query.get("least", "0"))
    response = web.json_response([one for one in GOODS.values() if one["price"] >= least])
    response.enable_compression()
    return response


async def one_good(request: web.Request) -> web.Response:
    found = GOODS.get(int(request.match_info["id"]))
    return web.json_response(found) if found else web.json_response({"error": "no such thing"}, status=404)


async def login(request: web.Request) -> web.Response:
    form = await request.post()
    if form.get("pin") != "1234":
        raise web.HTTPForbidden(text="wrong pin")
    response = web.HTTPFound("/account")
    response.set_cookie("visitor", str(form["user"]), path="/", httponly=True)
    return response


async def account(request: web.Request) -> web.Response:
    user = request.cookies.get("visitor")
    if user is None:
        raise web.HTTPFound("/")
    return web.Response(text=f"<!doctype html><h1>{user}</h1>", content_type="text/html")


async def put_into_cart(request: web.Request) -> web.Response:
    shop: Shop = request.app[SHOP]
    user = request.cookies.get("visitor", "nobody")
    wanted = await request.json()
    shop.carts.setdefault(user, []).append(wanted["id"])
    return web.json_response({"cart": shop.carts[user]}, status=201)


async def order(request: web.Request) -> web.Response:
    shop: Shop = request.app[SHOP]
    cart = shop.carts.pop(request.cookies.get("visitor", "nobody"), [])
    shop.orders.append({"number": len(shop.orders) + 1, "total": sum(int(GOODS[one]["price"]) for one in cart)})
    return web.json_response(shop.orders[-1], status=201, headers={"Location": f"/orders/{len(shop.orders)}"})


async def orders(request: web.Request) -> web.Response:
    return web.json_response({"orders": request.app[SHOP].orders})


async def photo(request: web.Request) -> web.Response:
    shop: Shop = request.app[SHOP]
    async for part in await request.multipart():
        if getattr(part, "filename", None):
            shop.photos[part.filename] = len(await part.read())
    return web.json_response(shop.photos, status=201)


async def news(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for number in range(3):
        await response.write(f"id: {number}\ndata: {json.dumps({'offer': number})}\n\n".encode())
        await asyncio.sleep(0.01)
    await response.write_eof()
    return response


async def chat(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=("chat",))
    await socket.prepare(request)
    await socket.send_json({"hello": request.query.get("who", "you")})
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            if message.data == "bye":
                await socket.close(code=4000, message=b"come again")
                break
            await socket.send_json({"you": message.data})
            await socket.send_json({"shop": len(message.data)})
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
    return socket


SHOP = web.AppKey("shop", Shop)


def build() -> web.Application:
    """The whole shop."""
    app = web.Application()
    app[SHOP] = Shop()
    app.add_routes(
        [
            web.get("/", home),
            web.get("/goods", goods),
            web.get("/goods/{id}", one_good),
            web.post("/login", login),
            web.get("/account", account),
            web.post("/cart", put_into_cart),
            web.post("/orders", order),
            web.get("/orders", orders),
            web.post("/photos", photo),
            web.get("/news", news),
            web.get("/chat", chat),
        ]
    )
    return app


async def main(port_file: Path) -> None:
    runner = web.AppRunner(build())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    partial = port_file.with_suffix(".part")
    partial.write_text(str(runner.addresses[0][1]), encoding="ascii")
    os.replace(partial, port_file)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
