"""Layouts of HAR files: other orders of members, several HARs in a file, several lines, other encodings."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.har import split
from mockrec.formats.har.recognise import names_log
from mockrec.formats.har.sink import open_har
from mockrec.formats.har.split import Splitter
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Session, open_session

Record = dict[str, Any]


def har(*entries: Record, **log: Any) -> str:
    return json.dumps({"log": {"version": "1.2", **log, "entries": list(entries)}})


def urls(result: Any) -> list[str]:
    return [record["url"] for record in result.records if record["type"] == "response"]


@pytest.mark.parametrize("between", ["", "\n", "\r\n \t", " "])
def test_several_documents_in_one_file(between: str, entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    one, two = entry(request={"url": "http://one.test/"}), entry(request={"url": "http://two.test/"})
    result = read(data=(har(one) + between + har(two, two) + between).encode())
    assert urls(result) == ["http://one.test/", "http://two.test/", "http://two.test/"]
    assert result.problems == []
    assert len({record["id"] for record in result.records if "id" in record}) == 3


@pytest.mark.parametrize("text", ["[{one},{two}]", " [ {one} , {two} ] \n"])
def test_a_list_of_documents(text: str, entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    data = text.replace("{one}", har(entry())).replace("{two}", har(entry(), entry(startedDateTime="x")))
    result = read(data=data.encode())
    assert len(urls(result)) == 2
    assert result.problems == ["document 2, entries[1] is left out: startedDateTime is no date: 'x'"]


@pytest.mark.parametrize("text", ["onInputData({one});", " a.b_$ ( {one} )\n", "f([{one}])"])
def test_a_har_in_a_call(text: str, entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    """HARP, as HAR Viewer reads it from other hosts."""
    result = read(data=text.replace("{one}", har(entry())).encode())
    assert (len(urls(result)), result.problems) == (1, [])


def test_data_after_the_har_is_reported(entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    text = har(entry())
    result = read(data=(text + "\nxyz").encode())
    assert len(urls(result)) == 1
    assert result.problems == [
        f"what follows the HAR is left out: expected the end of the file at byte {len(text) + 1}, found b'xyz'"
    ]


def test_a_list_that_is_cut_off(entry: Callable[..., Any]) -> None:
    session = Session(Source("s.har", io.BytesIO(f"[{har(entry())}, ".encode())))
    assert len(list(session)) == 4
    assert session.cut_off


def test_our_own_may_not_follow_one_another(entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    ours = json.dumps({"log": {"_mockrecSession": {"format": 1}, "entries": [{"_mockrec": {"events": []}}]}})
    result = read(data=(har(entry()) + ours).encode())
    assert len(urls(result)) == 1
    assert result.problems == ["document 2 is left out: only HARs of other tools may follow one another in a file"]


@pytest.mark.parametrize(
    "text",
    [
        '{"_meta": {"a": [1, "}"]}, "x": "\\"{", "n": -1.5, "log": LOG}',
        '{"comment": null, "log": LOG, "more": 1}',
        '{"creator": {"name": "x"}, "version": "1.2", "entries": ENTRIES}',
        '{"entries": ENTRIES, "creator": {"name": "x"}}',
        '\ufeff{"log": LOG}',
    ],
)
def test_members_in_other_orders(text: str, entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    entries = json.dumps([entry()])
    log = f'{{"entries": {entries}, "pages": [], "creator": {{"version": "1", "name": "x"}}, "version": "1.2"}}'
    result = read(data=text.replace("LOG", log).replace("ENTRIES", entries).encode())
    assert len(urls(result)) == 1
    assert result.records[0]["importedFrom"] in ("x 1", "x", "HAR")


@pytest.mark.parametrize(
    "start", [b"", b"{", b"{}", b'{"seq":0,"log":{', b'{"type":"x","log":{', b'{"log":5}', b'{"a":1 "log":{', b'{"a":{"log":{', b'{"a":"log', b'[1,{"log":{', b"null"]
)  # fmt: skip
def test_what_is_no_har(start: bytes) -> None:
    assert not names_log(start)


@pytest.mark.parametrize(
    "text",
    [
        '[\n{"startedDateTime":"x",\n"request":{"a":[\n{"b":1}]}}\n,\n{"startedDateTime":"y"}\n]',
        '[\n{"startedDateTime":"x","request":\n{"a":1}},\n{"startedDateTime":"y"}]',
        '[\n{"startedDateTime":"x","request":[\n]},\n{"startedDateTime":"y"}\n]',
        '[\n{"startedDateTime":"y"},\n{"startedDateTime":"x","request":[1\n]}\n]',
        '[\r\n{"startedDateTime":"x"},\r\n{"startedDateTime":"y"}\r\n]',
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_entries_over_several_lines(text: str, step: int) -> None:
    data = f'{{"log":{{"entries":{text}}}}}'.encode()
    members = list(Splitter("s.har", [data[at : at + step] for at in range(0, len(data), step)]))
    assert [member.problem for member in members] == ["", ""]
    assert [member.value for member in members] == json.loads(text)


def test_a_damaged_last_line_takes_nothing_with_it() -> None:
    data = b'{"log":{"entries":[\n{"startedDateTime":"x"},\n{"startedDateTime":"y\n]}}'
    splitter = Splitter("s.har", [data])
    members = list(splitter)
    assert [member.problem[:13] for member in members] == ["", "it is no JSON"]
    assert splitter.torn == ""


def test_utf16(entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    """PowerShell redirects the output of a program in this encoding."""
    for encoding in ("utf-16-le", "utf-16-be"):
        text = "\ufeff" + json.dumps(
            json.loads(har(entry(response={"content": {"text": "grüß 😀"}}))), ensure_ascii=False
        )
        result = read(data=text.encode(encoding))
        assert result.one("response")["body"]["text"] == "grüß 😀"
        assert result.notes == ["repaired: the file is UTF-16 and read as UTF-8"]


def test_blanks_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "_LONGEST", 100_000)
    blanks = [b" " * 50_000] * 40
    splitter = Splitter("s.har", [b'{"log":', *blanks, b'{"entries":', *blanks, b"[", *blanks, b"]}}", *blanks])
    assert list(splitter) == []


def test_an_entry_has_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "_LONGEST", 100_000)
    with pytest.raises(SessionError, match=r"the part in entries\[0\] of this HAR is longer than 100000 bytes"):
        list(Splitter("s.har", [b'{"log":{"entries":["', *[b"a" * 50_000] * 40, b'"]}}']))


def test_pages_are_there_again_in_a_har_of_the_session(tmp_path: Path) -> None:
    """Titles, timings and the pages of entries survive."""
    source = Path(__file__).parents[3] / "data" / "har" / "firefox.har"
    result = json.loads(source.read_bytes())["log"]
    copy = open_har(tmp_path / "copy.har", force=False, file_mode=0o600)
    with open_session(source) as session:
        for _, record in session:
            copy.write(encode_lines([record]))
    copy.close()
    made = json.loads((tmp_path / "copy.har").read_bytes())["log"]
    assert [(page["id"], page["title"]) for page in made["pages"]] == [
        (page["id"], page["title"]) for page in result["pages"]
    ]
    assert made["pages"][0]["pageTimings"] == {
        key: result["pages"][0]["pageTimings"].get(key, -1) for key in ("onContentLoad", "onLoad")
    }
    assert sorted(entry["pageref"] for entry in made["entries"]) == sorted(
        entry["pageref"] for entry in result["entries"]
    )


@pytest.mark.parametrize("pages", [None, {}, [None], [{"id": 1}], [{"id": "a", "startedDateTime": "never"}], "x", [[]]])
def test_invalid_pages(pages: Any, entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    result = read(
        data=json.dumps({"log": {"pages": pages, "entries": [entry(pageref="a"), entry(pageref=["a"])]}}).encode()
    )
    assert result.problems == []
    assert "importedPages" not in result.records[0]
    assert ["har-page:a" in record["tags"] for record in result.records if record["type"] == "request"] == [True, False]
