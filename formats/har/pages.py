"""Assign exchanges to pages: `log.pages` and the entries' `pageref`.

A page begins with a browser's navigation to a document (Sec-Fetch-Dest, https://www.w3.org/TR/fetch-metadata/; without
it an Accept that begins with HTML); the target of a redirect is the same page. A request belongs to the page if its
Referer names the page, or a style sheet, script or frame of it. Without a Referer, a request to the page's own origin,
or with that Origin, belongs to the latest page there. Other requests, for example those of programs, have no page.

Pages of another tool's HAR survive a conversion: a page's id is in a tag of the exchange, its title and timings in the
first record of the session. If there are such pages, no pages are inferred.

Bounded: pages are in the tail of the file, which is written again and again. So pages have at most `PAGES_BYTES`, and
at most `MAX_REFERRERS` URLs are remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin

from mockrec.formats.har import fields
from mockrec.formats.har.fields import items, mapping, text
from mockrec.formats.har.kinds import is_navigation

Record = dict[str, Any]

PAGE_TAG: Final = "har-page:"
"""Prefix of a page's id in the tags of an exchange that was read from an entry with a `pageref`."""
PAGES_BYTES = 256 * 1024
MAX_REFERRERS = 1000
MAX_URL = 1000
"""Characters of a URL that is remembered. Longer URLs usually are of images and tracking, not of pages."""
PAGE_BYTES = 150
"""Bytes of a page without its title."""
_UNKNOWN = {"onContentLoad": -1, "onLoad": -1}
_LEAVES = frozenset({"empty", "image", "font", "audio", "video", "track", "manifest", "report"})
"""Values of Sec-Fetch-Dest whose responses request nothing themselves."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Pages:
    """Takes each exchange twice: `begin` with its first head, `end` with its entry. `all`: the pages so far."""

    def __init__(self) -> None:
        self.all: list[Record] = []
        self._bytes = 0
        self._full = False
        self._page_ids: OrderedDict[tuple[str, str], str] = OrderedDict()
        """Client and URL, origin (`origin URL`) or announced redirect (`to URL`) → the id of a page; latest used last.
        The id is "" for a page that is not written because of `PAGES_BYTES`."""
        self._imported: dict[str, Record] = {}
        """Pages of another tool's HAR, by id."""
        self._written_ids: set[str] = set()
        """Ids of imported pages in `all`."""
        self._documents: dict[str, tuple[str, str]] = {}
        """Open navigations: id of the exchange → client and page."""

    def imported(self, pages: Any) -> None:
        """Take `importedPages` of a session's first record."""
        for listed in items(pages):
            page = {name: text(mapping(listed).get(name)) for name in ("startedDateTime", "id", "title")}
            if page["id"] and page["startedDateTime"]:
                timings = mapping(listed["pageTimings"]) if "pageTimings" in listed else _UNKNOWN
                self._imported[page["id"]] = {**page, "pageTimings": timings}

    def begin(self, identity: str, record: Mapping[str, Any]) -> str:
        """Return the page of an exchange that begins with this record, or ""."""
        tags = (text(tag) for tag in items(record.get("tags")))
        named = next((tag.removeprefix(PAGE_TAG) for tag in tags if tag.startswith(PAGE_TAG)), "")
        if named or self._imported:
            return self._imported_page(named, record) if named else ""
        headers = mapping(record.get("headers"))
        destination = text(headers.get("sec-fetch-dest"))
        document = destination == "document" or (not destination and _is_page(record, headers))
        referrer = text(headers.get("referer"))
        if not document and not referrer and not destination and "origin" not in headers:
            return ""
        url = text(record.get("url")).partition("#")[0]
        client = f"{text(record.get('remoteIpAddress'))} {text(headers.get('user-agent'))}"
        if document and not text(headers.get("sec-purpose")).startswith("prefetch"):
            page = self._navigated(client, url, record)
            self._documents[identity] = (client, page)
            return page
        page = self._page_of(client, url, referrer, headers)
        if page and destination not in _LEAVES:
            self._remember(client, url, page)
        return page

    def end(self, identity: str, entry: Mapping[str, Any]) -> None:
        """Take the entry of an exchange that has ended: if it redirects a navigation, the target is the same page."""
        if identity not in self._documents:
            return
        client, page = self._documents.pop(identity)
        response = mapping(entry.get("response"))
        location = text(response.get("redirectURL"))
        if response.get("status") not in _REDIRECTS or not location:
            return
        try:
            target = urljoin(text(mapping(entry.get("request")).get("url")), location).partition("#")[0]
        except ValueError:
            return  # not a URL, so no browser follows it
        self._remember(client, f"to {target}", page)

    def _imported_page(self, named: str, record: Mapping[str, Any]) -> str:
        if named not in self._written_ids and not self._full:
            page = self._imported.get(named)
            if self._add(text(record.get("url")), record, named) if page is None else self._put(page):
                self._written_ids.add(named)
        return named if named in self._written_ids else ""

    def _navigated(self, client: str, url: str, record: Mapping[str, Any]) -> str:
        page = self._page_ids.pop((client, f"to {url}"), None)
        if page is None:
            page = self._add(url, record)
        elif page:
            self._retitle(page, url)
        self._remember(client, url, page)
        self._remember(client, f"origin {_origin(url)}", page)
        return page

    def _page_of(self, client: str, url: str, referrer: str, headers: Mapping[str, Any]) -> str:
        if referrer:
            # A Referer to another server has only the origin: `https://page.test/`.
            return self._lookup(client, referrer) or self._lookup(client, f"origin {_origin(referrer)}")
        origin = text(headers.get("origin"))
        if origin:
            return self._lookup(client, f"origin {_origin(origin)}")
        same = text(headers.get("sec-fetch-site")) == "same-origin"
        return self._lookup(client, f"origin {_origin(url)}") if same else ""

    def _add(self, url: str, record: Mapping[str, Any], named: str = "") -> str:
        start = fields.started(mapping(record.get("timingEvents")), record.get("timestamp"))
        page = named or f"page_{len(self.all) + 1}"
        return self._put({
            "startedDateTime": start, "id": page, "title": fields.har_url(url), "pageTimings": _UNKNOWN,
        })  # fmt: skip

    def _put(self, page: Record) -> str:
        """Add a page. Return its id, or "" if it does not fit in `PAGES_BYTES`."""
        self._bytes += PAGE_BYTES + len(page["title"])
        self._full = self._full or self._bytes > PAGES_BYTES
        if self._full:
            return ""
        self.all.append(page)
        return str(page["id"])

    def _retitle(self, page: str, url: str) -> None:
        shown = self.all[int(page.removeprefix("page_")) - 1]
        title = fields.har_url(url)
        grown = len(title) - len(shown["title"])
        if self._bytes + grown <= PAGES_BYTES:
            self._bytes += grown
            shown["title"] = title

    def _lookup(self, client: str, url: str) -> str:
        key = (client, url)
        page = self._page_ids.get(key, "")
        if page:
            self._page_ids.move_to_end(key)
        return page

    def _remember(self, client: str, url: str, page: str) -> None:
        key = (client, url)
        if len(client) + len(url) <= MAX_URL:
            self._page_ids[key] = page
            self._page_ids.move_to_end(key)
            if len(self._page_ids) > MAX_REFERRERS:
                self._page_ids.popitem(last=False)


def _is_page(record: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
    """True for a navigation without Sec-Fetch-Dest, which browsers do not send to servers without TLS."""
    return is_navigation(headers) and record.get("method") in ("GET", "POST") and "x-requested-with" not in headers


def _origin(url: str) -> str:
    """Return `https://host:port` of a URL, without a default port."""
    where = fields.parts_of(url)
    return f"{where['protocol']}://{where['host']}" if where else ""
