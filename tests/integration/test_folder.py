"""A reply from a folder: its files, as they are asked for, and nothing outside of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Start = Callable[..., Any]
Make = Callable[..., Any]

BIG = bytes(range(256)) * 1200


@pytest.fixture(scope="module")
def run(shared_recorder: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("folder")
    site = folder / "site"
    (site / "sub").mkdir(parents=True)
    (site / "bare").mkdir()
    (folder / "secret.txt").write_text("secret")
    (site / "index.html").write_text("<h1>home</h1>")
    (site / "sub" / "index.html").write_text("sub")
    (site / "a b ä.txt").write_text("spaced")
    (site / "page.css").write_text("a{}")
    (site / "data.json").write_text("{}")
    (site / "site.tar.gz").write_bytes(b"packed")
    (site / "unknown.xyz1").write_bytes(b"?")
    (site / "empty.txt").write_bytes(b"")
    (site / "big.bin").write_bytes(BIG)
    (site / "link.txt").symlink_to("../secret.txt")
    (site / "inside.txt").symlink_to("page.css")
    (site / "up").symlink_to("..")
    os.mkfifo(site / "pipe")
    return shared_recorder(
        "version: 1\nrules:\n"
        f"  - {{id: web, when: {{pathRegex: '^/web(/|$)'}}, then: {{reply: {{folder: {site}, prefix: /web,"
        " headers: {X-A: '1'}}}}\n"
        f"  - {{id: bare, when: {{pathRegex: ^/}}, then: {{reply: {{folder: {site}, index: false}}}}}}\n"
    )


def get(client: Any, target: str, *fields: str, method: str = "GET") -> Any:
    return client.ask("\r\n".join([f"{method} {target} HTTP/1.1", "Host: a", *fields, "", ""]))


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/web/", "text/html; charset=utf-8", b"<h1>home</h1>"),
        ("/web/sub/", "text/html; charset=utf-8", b"sub"),
        ("/web/sub/index.html?a=1", "text/html; charset=utf-8", b"sub"),
        ("/web/a%20b%20%C3%A4.txt", "text/plain; charset=utf-8", b"spaced"),
        ("/web/page.css", "text/css; charset=utf-8", b"a{}"),
        ("/web/data.json", "application/json; charset=utf-8", b"{}"),
        ("/web/site.tar.gz", "application/gzip", b"packed"),
        ("/web/unknown.xyz1", "application/octet-stream", b"?"),
        ("/web/empty.txt", "text/plain; charset=utf-8", b""),
        ("/web/big.bin", "application/octet-stream", BIG),
        ("/page.css", "text/css; charset=utf-8", b"a{}"),
    ],
)
def test_files(run: Any, client: Make, path: str, kind: str, body: bytes) -> None:
    answer = get(client(run.port), path)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, kind, body)
    assert answer.headers["content-length"] == str(len(body))
    head = get(client(run.port), path, method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(body)), b"")


@pytest.mark.parametrize(
    "path",
    [
        *("/web/..%2fsecret.txt", "/web/..%2Fsecret.txt", "/web/%2e%2e%2fsecret.txt", "/web/..%5csecret.txt"),
        *("/web/sub/..%2f..%2fsecret.txt", "/web/%2fetc%2fpasswd", "/web//etc/passwd", "/web/..;/secret.txt"),
        *("/web/%00", "/web/page.css%00.txt", "/web/link.txt", "/web/inside.txt", "/web/up/secret.txt", "/web/up/"),
        *("/web/pipe", "/web/bare/", "/web/nothing", "/web/page.css/", "/web/page.css/x", "/web/" + "d/" * 500),
        *("/web/" + "x" * 300, "/web/%ff", "/web/%c0%ae%c0%ae/secret.txt", "/web/.../secret.txt", "/"),
    ],
)
def test_what_is_no_file_of_the_folder_is_not_there(run: Any, client: Make, path: str) -> None:
    answer = get(client(run.port), path)
    assert answer.status == 404, answer.head
    assert b"secret\n" not in answer.body
    assert answer.body != b"secret"


@pytest.mark.parametrize("path", ["/web/../secret.txt", "/web/%2e%2e/secret.txt", "/web/sub/../../secret.txt"])
def test_dots_of_a_url_are_gone_before_rules_are_asked(run: Any, client: Make, path: str) -> None:
    answer = get(client(run.port), path)  # /secret.txt, which the other rule has not
    assert answer.status == 404
    assert answer.body != b"secret"


@pytest.mark.parametrize(
    ("path", "to"), [("/web", "/web/"), ("/web/sub", "/web/sub/"), ("/web/sub?x=1", "/web/sub/?x=1"), ("/sub", "/sub/")]
)
def test_a_folder_without_its_slash_moves(run: Any, client: Make, path: str, to: str) -> None:
    answer = get(client(run.port), path)
    assert (answer.status, answer.headers["location"]) == (301, to)


def test_other_methods_are_not_allowed(run: Any, client: Make) -> None:
    answer = get(client(run.port), "/web/", "Content-Length: 0", method="POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_what_a_client_has_is_not_sent_again(run: Any, client: Make) -> None:
    first = get(client(run.port), "/web/page.css")
    tag, date = first.headers["etag"], first.headers["last-modified"]
    for field in (
        f"If-None-Match: {tag}",
        f'If-None-Match: "x", W/{tag}',
        "If-None-Match: *",
        f"If-Modified-Since: {date}",
    ):
        answer = get(client(run.port), "/web/page.css", field)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag), field
    for field in (
        'If-None-Match: "x"',
        "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
        "If-Modified-Since: nonsense",
    ):
        assert get(client(run.port), "/web/page.css", field).status == 200, field
    both = get(client(run.port), "/web/page.css", 'If-None-Match: "x"', f"If-Modified-Since: {date}")
    assert both.status == 200  # RFC 9110, 13.2.2


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("0-9", 0, 10), ("100-", 100, len(BIG)), ("-5", len(BIG) - 5, len(BIG)), ("0-99999999", 0, len(BIG))],
)
def test_one_range(run: Any, client: Make, asked: str, start: int, end: int) -> None:
    answer = get(client(run.port), "/web/big.bin", f"Range: bytes={asked}")
    assert (answer.status, answer.body) == (206, BIG[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(BIG)}"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,3-4", "bytes=5-1", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=", "bytes"]
)
def test_ranges_that_are_none_get_the_whole(run: Any, client: Make, asked: str) -> None:
    answer = get(client(run.port), "/web/page.css", f"Range: {asked}")
    assert (answer.status, answer.body) == (200, b"a{}")


def test_a_range_that_is_not_there(run: Any, client: Make) -> None:
    for asked in ("bytes=3-", "bytes=-0", "bytes=99-100"):
        answer = get(client(run.port), "/web/page.css", f"Range: {asked}")
        assert (answer.status, answer.headers["content-range"]) == (416, "bytes */3")


def test_a_range_only_of_what_the_client_knows(run: Any, client: Make) -> None:
    tag = get(client(run.port), "/web/page.css").headers["etag"]
    assert get(client(run.port), "/web/page.css", "Range: bytes=0-0", f"If-Range: {tag}").body == b"a"
    assert get(client(run.port), "/web/page.css", "Range: bytes=0-0", 'If-Range: "old"').body == b"a{}"
