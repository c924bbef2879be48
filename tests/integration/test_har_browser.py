"""A page that a browser has shown through mockrec, and what programs make of its HAR: the page itself again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from devtools import developer_tools
from web_site import PATHS, TOLD, site

from mockrec.formats.sessions.session import open_session

Make = Callable[..., Any]
Record = dict[str, Any]

BROWSER = Path(__file__).parents[1] / "helpers" / "browser_page.py"
CHROMIUM = shutil.which("chromium")
WAYS = ["proxy", "reverse", "reverse over HTTP/2"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def python_with_playwright() -> str:
    """The interpreter that runs the browser."""
    if named := os.environ.get("MOCKREC_TEST_PLAYWRIGHT"):
        return named
    if find_spec("playwright") is None:
        pytest.skip("no Playwright here: .ci/tools installs it (MOCKREC_TEST_PLAYWRIGHT)")
    return sys.executable


def shown(url: str, proxy: str = "", har: str | Path = "") -> Record:
    """What the page says of itself when everything it wants has come."""
    done = subprocess.run(
        [python_with_playwright(), BROWSER, str(CHROMIUM), url, proxy, har],
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: Record = json.loads(done.stdout)
    return told


@pytest.fixture
def devtools(tmp_path: Path) -> Any:
    with developer_tools(tmp_path / "profile") as evaluate:
        yield evaluate


class Shown:
    """A recording of the page, whose server is gone."""

    def __init__(self, way: str, url: str, har: Path, told: Record) -> None:
        self.way = way
        self.url = url
        self.path = har
        self.told = told
        self.har: Record = json.loads(har.read_text("utf-8"))
        host = url.rpartition("/")[0] + "/"
        self.entries = [one for one in self.har["log"]["entries"] if one["request"]["url"].startswith(host)]
        """Browsers ask for things of their own too."""

    def at(self, path: str) -> Record:
        """The first entry of a path."""
        return next(one for one in self.entries if one["request"]["url"].endswith(path))


@pytest.fixture(scope="module", params=WAYS)
def page(request: pytest.FixtureRequest, shared_recorder: Make) -> Shown:
    way = request.param
    with site() as port:
        before = () if way == "proxy" else ("--upstream", f"http://127.0.0.1:{port}")
        run = shared_recorder(None, *before, "--redact", "none", out=f"{way.replace(' ', '-').replace('/', '')}.har")
        if way == "proxy":
            url = f"http://127.0.0.1:{port}/start"
        else:
            url = (run.url.replace("http:", "https:") if way != "reverse" else run.url) + "/start"
        told = shown(url, run.url if way == "proxy" else "")
        run.stop()
    return Shown(way, url, run.log, told)


def test_the_page_was_whole_when_it_was_recorded(page: Shown) -> None:
    assert page.told == TOLD
    assert {"/" + one["request"]["url"].split("/", 3)[3] for one in page.entries} >= PATHS
    versions = {one["request"]["httpVersion"] for one in page.entries}
    assert versions == ({"http/2.0"} if "HTTP/2" in page.way else {"HTTP/1.1"})


def test_playwright_plays_it_from_the_file_alone(page: Shown) -> None:
    """`route_from_har` with `not_found="abort"`: nothing else answers."""
    assert shown(page.url, har=page.path) == TOLD


def test_no_header_that_a_browser_refuses(page: Shown) -> None:
    for entry in page.entries:
        for message in (entry["request"], entry["response"]):
            assert not [header for header in message["headers"] if header["name"].startswith(":")]
            assert ("_pseudoHeaders" in message) == ("HTTP/2" in page.way)


def test_the_records_are_all_there_again(page: Shown) -> None:
    with open_session(page.path) as session:
        records = [json.loads(line.raw) for line in session.scan()]
    assert session.problems == []
    assert session.complete
    if "HTTP/2" in page.way:
        ours = [one for one in records if one["type"] == "request" and one["url"] == page.url]
        assert [name for name, _ in ours[0]["rawHeaders"]][:4] == [":method", ":authority", ":scheme", ":path"]


TYPES = {
    "/start": "document", "/": "document", "/frame.html": "document", "/site.css": "stylesheet", "/site.js": "script",
    "/part.js": "script", "/image.png": "image", "/background.png": "image", "/icon.png": "image",
    "/site.woff2": "font", "/api/fetch": "fetch", "/api/post": "fetch", "/api/moved": "fetch", "/api/empty": "fetch",
    "/api/xhr": "xhr", "/api/events": "eventsource",
}  # fmt: skip


@pytest.mark.parametrize("path", TYPES)
def test_what_each_request_was_made_for(page: Shown, path: str) -> None:
    assert page.at(path)["_resourceType"] == TYPES[path]


def test_who_asked_for_it(page: Shown) -> None:
    base = page.url.removesuffix("/start")
    assert "_initiator" not in page.at("/start")
    assert page.at("/image.png")["_initiator"] == {"type": "parser", "url": f"{base}/"}
    assert page.at("/site.woff2")["_initiator"] == {"type": "parser", "url": f"{base}/site.css"}
    assert page.at("/api/xhr")["_initiator"] == {"type": "script", "url": f"{base}/"}


def test_all_of_it_is_on_one_page(page: Shown) -> None:
    (told,) = page.har["log"]["pages"]
    assert (told["id"], told["title"]) == ("page_1", page.url.removesuffix("start"))
    assert told["startedDateTime"] == page.at("/start")["startedDateTime"]
    assert {one.get("pageref") for one in page.entries} == {"page_1"}


def test_times_add_up(page: Shown) -> None:
    for entry in page.entries:
        parts = [value for name, value in entry["timings"].items() if name != "ssl" and value != -1]
        assert sum(parts) == pytest.approx(entry["time"], abs=0.001)


def test_the_schema_and_haralyzer(page: Shown, har_problems: Callable[[Any], list[str]]) -> None:
    assert har_problems(page.har) == []
    haralyzer = pytest.importorskip("haralyzer")
    pages = haralyzer.HarParser(page.har).pages
    assert max(len(one.entries) for one in pages) == len(page.entries)
    (ours,) = (one for one in pages if one.page_id == "page_1")
    assert ours.title == page.url.removesuffix("start")
    assert len(ours.image_files) >= 3
    assert ours.actual_page.url == page.url.removesuffix("start")


COUNT = """(async () => {
    const har = await import("devtools://devtools/bundled/models/har/har.js")
    const root = new har.HARFormat.HARRoot(JSON.parse(%s))
    const requests = har.Importer.Importer.requestsFromHARLog(root.log)
    return JSON.stringify(requests.map(one => ({
        url: one.url(), filter: one.resourceType().category().name, page: one.documentURL,
        events: one.eventSourceMessages().map(message => message.data), initiator: one.initiator()?.type ?? "",
    })))
})()"""
FILTERS = {
    "document": "Document", "stylesheet": "CSS", "script": "JavaScript", "image": "Image", "font": "Font",
    "fetch": "Fetch and XHR", "xhr": "Fetch and XHR", "eventsource": "Fetch and XHR",
}  # fmt: skip


def test_developer_tools_find_each_under_its_filter(page: Shown, devtools: Callable[[str], Any]) -> None:
    """The importer of Chromium's own Network panel, and the categories of its filter."""
    requests = json.loads(devtools(COUNT % json.dumps(json.dumps(page.har))))
    assert len(requests) == len(page.har["log"]["entries"])
    ours = [one for one in requests if one["url"].startswith(page.url.removesuffix("start"))]
    wanted = Counter(FILTERS[entry["_resourceType"]] for entry in page.entries)
    assert Counter(one["filter"] for one in ours) == wanted
    assert wanted["Fetch and XHR"] == len([one for one in page.entries if "/api/" in one["request"]["url"]])
    assert {one["page"] for one in ours} == {page.url}
    assert [one["events"] for one in ours if one["events"]] == [["one", "two"]]
    assert {one["initiator"] for one in ours} >= {"parser", "script"}


# ── what no browser takes ──────────────────────────────────────────────────────────────────────────


def test_an_exchange_without_an_answer_fails_in_playwright_too(page: Shown) -> None:
    """A status of 0 alone would be played as an empty 200."""
    from mockrec.formats.har.entry import make_entry

    url = page.url.removesuffix("start") + "api/xhr"
    record = {"type": "abort", "method": "GET", "url": url, "rawHeaders": [], "error": {"message": "gone"}}
    har = json.loads(json.dumps(page.har))
    broken = make_entry([record], "s.bodies")
    assert broken["response"]["status"] == 0
    har["log"]["entries"] = [one for one in har["log"]["entries"] if one["request"]["url"] != url] + [broken]
    changed = page.path.with_name(f"broken-{page.path.name}")  # beside the bodies
    changed.write_text(json.dumps(har), encoding="utf-8")
    assert shown(page.url, har=changed) == {**TOLD, "xhr": "failed"}
