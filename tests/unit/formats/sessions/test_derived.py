"""What a new session takes along of those that it is made of: the bodies beside them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from mockrec.formats.sessions.derived import BodyCarrier, Provenance

BODY = bytes(range(256))
NAME = hashlib.sha256(BODY).hexdigest()
FILE = f"{NAME[:2]}/{NAME}"
LINE = f'{{"type":"response","body":{{"size":256,"file":"{FILE}"}}}}'.encode()


@pytest.fixture(params=[True, False], ids=["links", "copies"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bodies of the first session, in a file system with or without links."""
    (tmp_path / "a.bodies" / NAME[:2]).mkdir(parents=True)
    (tmp_path / "a.bodies" / FILE).write_bytes(BODY)
    if not request.param:

        def link(source: Path, target: Path) -> None:
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
    return tmp_path / "a.bodies"


def everything(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def test_bodies_are_taken_along_once(folder: Path, tmp_path: Path) -> None:
    carrier = BodyCarrier(tmp_path / "b.bodies")
    assert [carrier.carry(LINE, folder) for _ in range(3)] == [LINE] * 3
    assert everything(tmp_path / "b.bodies") == [NAME[:2], FILE]
    assert (tmp_path / "b.bodies" / FILE).read_bytes() == BODY
    assert carrier.lost == 0


@pytest.mark.parametrize("text", [f'"file": "{FILE}"', f'"file" :\t"{FILE}"', f'"file":"{NAME[:2]}\\/{NAME}"'])
def test_lines_that_another_program_has_written_have_bodies_too(folder: Path, tmp_path: Path, text: str) -> None:
    line = LINE.replace(f'"file":"{FILE}"'.encode(), text.encode())
    assert BodyCarrier(tmp_path / "b.bodies").carry(line, folder) == line
    assert everything(tmp_path / "b.bodies") == [NAME[:2], FILE]
    assert json.loads(BodyCarrier(None).carry(line, folder))["body"].keys() == {"size", "base64"}


def test_the_type_of_the_first_record_may_stand_last() -> None:
    line = json.dumps({"command": ["x" * 1000], "type": "session-started"}).encode()
    marked = Provenance({"from": "a.jsonl"}, [None]).mark(line, 0)
    assert json.loads(marked) == {**json.loads(line), "derived": {"from": "a.jsonl"}}


def test_what_was_taken_along_goes_with_the_session(folder: Path, tmp_path: Path) -> None:
    carrier = BodyCarrier(tmp_path / "b.bodies")
    carrier.carry(LINE, folder)
    carrier.discard()
    assert everything(tmp_path) == ["a.bodies", f"a.bodies/{NAME[:2]}", f"a.bodies/{FILE}"]


def test_what_was_there_stays(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "b.bodies").mkdir()
    (tmp_path / "b.bodies" / "of-another-program").touch()
    carrier = BodyCarrier(tmp_path / "b.bodies")
    carrier.carry(LINE, folder)
    carrier.discard()
    assert everything(tmp_path / "b.bodies") == ["of-another-program"]


def test_half_a_copy_is_no_body(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal may come while a body is copied: nobody must take the half of it for the body."""

    def interrupted(source: Path, target: Path) -> None:
        Path(target).write_bytes(BODY[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", lambda source, target: (_ for _ in ()).throw(OSError()))
    monkeypatch.setattr("shutil.copyfile", interrupted)
    carrier = BodyCarrier(tmp_path / "b.bodies")
    with pytest.raises(KeyboardInterrupt):
        carrier.carry(LINE, folder)
    assert not (tmp_path / "b.bodies" / FILE).exists()
    carrier.discard()
    assert not (tmp_path / "b.bodies").exists()
