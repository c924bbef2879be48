"""Assigning exchanges to pages."""

from __future__ import annotations

import pytest

from mockrec.formats.har import pages as module
from mockrec.formats.har.pages import Pages

PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class Client:
    """Makes requests and returns the page of each."""

    def __init__(self, pages: Pages | None = None, agent: str = "Browser") -> None:
        self.pages = pages or Pages()
        self._agent = agent
        self._count = 0

    def __call__(self, url: str, dest: str = "", referer: str = "", to: str = "", **more: str) -> str:
        self._count += 1
        identity = f"{self._agent} {self._count}"
        headers = {"user-agent": self._agent, **{name.replace("_", "-"): value for name, value in more.items()}}
        headers |= {"sec-fetch-dest": dest} if dest else {}
        headers |= {"referer": referer} if referer else {}
        record = {"method": "GET", "url": url, "headers": headers, "remoteIpAddress": "127.0.0.1"}
        page = self.pages.begin(identity, record)
        self.pages.end(
            identity, {"request": {"url": url}, "response": {"status": 302 if to else 200, "redirectURL": to}}
        )
        return page

    def titles(self) -> list[str]:
        return [page["title"] for page in self.pages.all]


def test_a_page_and_what_belongs_to_it() -> None:
    ask = Client()
    assert ask("https://a.test/", "document") == "page_1"
    assert ask("https://a.test/a.css", "style", "https://a.test/") == "page_1"
    assert ask("https://cdn.test/a.js", "script", "https://a.test/") == "page_1", "of another server: the origin alone"
    assert ask("https://a.test/font", "font", "https://a.test/a.css") == "page_1", "asked for by the style sheet"
    assert ask("https://cdn.test/b.js", "script", "https://cdn.test/a.js") == "page_1", "by the script"
    assert ask("https://a.test/frame", "iframe", "https://a.test/") == "page_1", "a frame is no page"
    assert ask("https://a.test/inner.png", "image", "https://a.test/frame") == "page_1"
    assert ask("https://a.test/api", "empty", sec_fetch_site="same-origin") == "page_1", "no-referrer"
    assert ask("https://ws.test/", origin="https://a.test") == "page_1", "a WebSocket"
    assert ask.titles() == ["https://a.test/"]
    assert set(ask.pages.all[0]) == {"id", "title", "startedDateTime", "pageTimings"}


def test_the_next_page() -> None:
    ask = Client()
    assert ask("https://a.test/", "document") == "page_1"
    assert ask("https://a.test/two", "document", "https://a.test/") == "page_2"
    assert ask("https://a.test/x.png", "image", "https://a.test/") == "page_1", "the first goes on"
    assert ask("https://a.test/y.png", "image", "https://a.test/two") == "page_2"
    assert ask("https://b.test/z.png", "image", "https://a.test/") == "page_1"
    assert ask("https://a.test/", "document") == "page_3", "loaded again"
    assert ask("https://a.test/x.png", "image", "https://a.test/") == "page_3"


def test_a_redirect_is_the_same_page_under_its_last_url() -> None:
    ask = Client()
    assert ask("https://a.test/start", "document", to="/login?next=1#top") == "page_1"
    assert ask("https://a.test/login?next=1", "document", to="https://b.test/") == "page_1"
    assert ask("https://b.test/", "document") == "page_1"
    assert ask.titles() == ["https://b.test/"]
    assert ask("https://b.test/", "document") == "page_2", "the redirect counts once"


@pytest.mark.parametrize("location", ["http://[", "/\x00", "//", "http://a.test:99999/", ""])
def test_a_location_that_is_no_url(location: str) -> None:
    ask = Client()
    assert ask("https://a.test/", "document", to=location) == "page_1"


def test_browsers_before_servers_without_tls_do_not_say_it() -> None:
    ask = Client()
    assert ask("http://a.test/", accept=PAGE) == "page_1"
    assert ask("http://a.test/x", referer="http://a.test/", accept="*/*") == "page_1"
    assert (
        ask("http://a.test/part", referer="http://a.test/", accept=PAGE, x_requested_with="XMLHttpRequest") == "page_1"
    )
    assert len(ask.pages.all) == 1


def test_programs_have_no_pages() -> None:
    ask = Client()
    assert ask("https://a.test/api", accept="*/*") == ""
    assert ask("https://a.test/", accept="text/html, image/gif, */*; q=.2") == ""
    assert ask("https://a.test/api", referer="https://a.test/") == "", "a Referer of a page that was not seen"
    assert ask("https://a.test/next", "document", sec_purpose="prefetch") == "", "fetched ahead, not shown"
    assert ask.pages.all == []


def test_two_clients_do_not_share_pages() -> None:
    one = Client(agent="One")
    two = Client(one.pages, agent="Two")
    assert (one("https://a.test/", "document"), two("https://a.test/", "document")) == ("page_1", "page_2")
    assert one("https://a.test/x", "image", "https://a.test/") == "page_1"
    assert two("https://a.test/x", "image", "https://a.test/") == "page_2"


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGES_BYTES", 1000)
    monkeypatch.setattr(module, "MAX_REFERRERS", 10)
    ask = Client()
    page_ids = [ask(f"https://a.test/{number}", "document") for number in range(100)]
    assert page_ids[0] == "page_1"
    assert page_ids[-1] == ""
    assert len(ask.pages.all) == len({page for page in page_ids if page}) < 10
    assert ask("https://a.test/x", "image", "https://a.test/99") == "", (
        "on a page that is not written, not on an old one"
    )
    assert len(ask.pages._page_ids) <= 10
    assert ask("https://a.test/" + "x" * 5000, "script", "https://a.test/99") == ""


def test_imported_pages_are_kept_and_none_are_inferred() -> None:
    pages = Pages()
    page_ids = {
        "startedDateTime": "2026-11-20T09:15:30Z",
        "id": "page_2",
        "title": "Shop",
        "pageTimings": {"onLoad": 7},
    }
    pages.imported([page_ids, {**page_ids, "id": "unused"}, {"id": "no date"}, {"id": 3}, None, "page"])
    of_two = {"method": "GET", "url": "http://a.test/x", "tags": ["mine", "har-page:page_2"]}
    assert [pages.begin("1", of_two), pages.begin("2", of_two)] == ["page_2", "page_2"]
    assert pages.begin("3", {**of_two, "tags": ["har-page:no date"]}) == "no date"
    assert pages.begin("4", {**of_two, "tags": [], "headers": {"sec-fetch-dest": "document"}}) == ""
    assert pages.all[0] == page_ids
    assert [(page["id"], page["title"]) for page in pages.all[1:]] == [("no date", "http://a.test/x")]


def test_pages_of_another_tool_are_no_more_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGES_BYTES", 400)
    pages = Pages()
    records = [{"url": "http://a.test/", "tags": [f"har-page:{number}"]} for number in (1, 2, 3, 1)]
    assert [pages.begin("", record) for record in records] == ["1", "2", "", "1"]
