"""HARs in zips, and files that a HAR names as bodies: only safe ones are read."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from audited import audited

from mockrec.formats.har import attached, zipped
from mockrec.formats.har.attached import AttachedError, AttachedFiles
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.session import open_session

Record = dict[str, Any]
BYTES = b"\x89PNG\0\xff"


@pytest.fixture
def har(entry: Callable[..., Record]) -> Callable[..., bytes]:
    """Make a HAR whose responses have these files as bodies."""

    def make(*names: str) -> bytes:
        entries = [entry(response={"content": {"size": 6, "mimeType": "image/png", "_file": name}}) for name in names]
        return json.dumps({"log": {"version": "1.2", "entries": entries}}).encode()

    return make


def zip_of(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def bodies(path: Path) -> tuple[list[Record], list[str]]:
    with open_session(path) as session:
        records = audited(session)
        return [record["body"] for record in records if record["type"] == "response"], session.problems


KEPT = {"size": 6, "base64": "iVBORwD/"}
MISSING = {"size": 6, "text": "", "truncated": True}


def test_a_file_in_the_folder_of_the_har(tmp_path: Path, har: Callable[..., bytes]) -> None:
    (tmp_path / "s.har").write_bytes(har("a.png", "sub/a.png"))
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/a.png"):
        (tmp_path / name).write_bytes(BYTES)
    assert bodies(tmp_path / "s.har") == ([KEPT, KEPT], [])


def test_what_a_request_has_posted(tmp_path: Path, entry: Callable[..., Record]) -> None:
    made = entry(request={"method": "POST", "postData": {"mimeType": "image/png", "params": [], "_file": "a.png"}})
    (tmp_path / "s.har").write_text(json.dumps({"log": {"entries": [made]}}))
    (tmp_path / "a.png").write_bytes(BYTES)
    with open_session(tmp_path / "s.har") as session:
        (request,) = [record for record in session if record[1]["type"] == "request"]
    assert request[1]["body"] == KEPT


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gone.png", "No such file or directory"),
        (".ssh/id_rsa", "refused: it is hidden"),
        ("sub/.env", "refused: it is hidden"),
        ("../secret", "refused: it leads out of the HAR's folder"),
        ("sub/../../secret", "refused: it leads out of the HAR's folder"),
        ("/etc/passwd", "refused: it leads out of the HAR's folder"),
        ("link", "refused: it leads out of the HAR's folder"),
        ("folder/secret", "refused: it leads out of the HAR's folder"),
        ("pipe", "refused: it is no regular file"),
        ("sub", "refused: it is no regular file"),
        ("", "refused: it leads out of the HAR's folder"),
        ("a\0b", "refused: it leads out of the HAR's folder"),
        ("x" * 5000, "File name too long"),
        ("loop", None),
    ],
)
def test_a_file_that_is_refused(tmp_path: Path, har: Callable[..., bytes], name: str, why: str | None) -> None:
    (tmp_path / "secret").write_bytes(BYTES)
    place = tmp_path / "place"
    (place / "sub").mkdir(parents=True)
    os.mkfifo(place / "pipe")
    (place / "link").symlink_to("../secret")
    (place / "folder").symlink_to("..")
    (place / "loop").symlink_to("loop")
    (place / "s.har").write_bytes(har(name))
    kept, problems = bodies(place / "s.har")
    assert kept == [MISSING]
    (problem,) = problems
    assert problem.startswith(
        "attached files could not be read, and their bodies are marked truncated (1 time, first in"
    )
    assert why is None or problem.endswith(f": {why})")


def test_a_har_from_a_pipe_names_nothing(entry: Callable[..., Record], read: Callable[..., Any]) -> None:
    made = entry(response={"content": {"size": 6, "_file": "../../etc/passwd"}})
    result = read(made)
    assert result.one("response")["body"]["truncated"]
    assert len(result.problems) == 1


def test_one_file_is_not_read_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "MAX_FILE", 100)
    monkeypatch.setattr(attached, "MAX_ALL", 250)
    for name, size in (("a", 100), ("b", 101), ("c", 100)):
        (tmp_path / name).write_bytes(b"x" * size)
    folder = AttachedFiles(tmp_path)
    with pytest.raises(AttachedError, match="larger than"):
        folder.read("b")
    folder = AttachedFiles(tmp_path)
    for name in ("a", "a", "c", "a"):
        assert folder.read(name) == b"x" * 100
    with pytest.raises(AttachedError, match="far more than there is on disk"):
        folder.read("a")


def test_a_file_with_holes_is_not_more_than_there_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "MAX_ALL", 1000)
    with (tmp_path / "a").open("wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(AttachedError, match="far more than there is on disk"):
        AttachedFiles(tmp_path).read("a")


# ── zips ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("folder", ["", "shop/"])
def test_a_zip(tmp_path: Path, har: Callable[..., bytes], method: int, folder: str) -> None:
    files = {f"{folder}a.png": BYTES, f"{folder}har.har": har("a.png", "gone.png"), f"__MACOSX/{folder}._har.har": b"x"}
    kept, problems = bodies(zip_of(tmp_path / "s.har.zip", files, method))
    assert kept == [KEPT, MISSING]
    assert [problem.rpartition(": ")[2] for problem in problems] == ["it is not in the zip)"]


def test_our_own_in_a_zip(tmp_path: Path) -> None:
    """Any content, but a name that ends in .har."""
    record = b'{"seq":0,"type":"session-started","timestamp":"2026-11-20T09:15:30.500000Z"}\n'
    with open_session(zip_of(tmp_path / "s.zip", {"s.har": record})) as session:
        assert [record["type"] for _, record in session] == ["session-started"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": b"x"}, "this zip has no HAR in it"),
        ({"raw/1_c.txt": b"x"}, "this is an archive of Fiddler"),
        ({"a.har": b"{}", "b.har": b"{}"}, r"this zip has 2 HARs in it \(a.har, b.har, …\): unpack it and give one"),
    ],
)
def test_a_zip_without_a_har(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(SessionError, match=message):
        open_session(zip_of(tmp_path / "s.zip", files))


def test_a_name_does_not_lead_out_of_a_zip(tmp_path: Path, har: Callable[..., bytes]) -> None:
    (tmp_path / "secret").write_bytes(BYTES)
    place = zip_of(tmp_path / "s.zip", {"x/har.har": har("../secret", "../a", "/a"), "secret": BYTES, "a": BYTES})
    kept, _ = bodies(place)
    assert kept == [MISSING] * 3


def test_a_zip_that_unfolds_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped, "MAX_PLAIN", 1_000_000)
    path = zip_of(tmp_path / "s.zip", {"har.har": b'{"log":{"entries":[' + b" " * 50_000_000 + b"]}}"})
    monkeypatch.setattr(zipped, "MORE_PER_BYTE", 2)
    with pytest.raises(SessionError, match="far larger than the zip"), open_session(path) as session:
        list(session)


def test_a_damaged_zip_never_ends_in_anything_else(tmp_path: Path, har: Callable[..., bytes]) -> None:
    whole = zip_of(tmp_path / "s.zip", {"har.har": har("a.png"), "a.png": BYTES}).read_bytes()
    broken = tmp_path / "b.zip"
    outcomes = set()
    for at in range(4, len(whole)):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            broken.write_bytes(data)
            try:
                with open_session(broken) as session:
                    list(session)
                    outcomes.add("read")
            except SessionError:
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_an_encrypted_zip(tmp_path: Path, har: Callable[..., bytes]) -> None:
    whole = bytearray(zip_of(tmp_path / "s.zip", {"har.har": har("a.png")}).read_bytes())
    whole[6] |= 1
    central = whole.rindex(b"PK\x01\x02")
    whole[central + 8] |= 1
    (tmp_path / "s.zip").write_bytes(whole)
    with pytest.raises(SessionError, match="encrypted"):
        open_session(tmp_path / "s.zip")


def test_a_zip_from_a_pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, har: Callable[..., bytes]) -> None:
    data = zip_of(tmp_path / "s.zip", {"har.har": har("a.png")}).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))  # type: ignore[arg-type]
    with pytest.raises(SessionError, match="a zip is read from its end, not from a pipe"):
        open_session("-")
