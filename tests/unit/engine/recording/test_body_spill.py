"""Long bodies, written to their files while they arrive."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.message.body import SPILLED, MessageBody
from mockrec.engine.recording.body_encoder import BodyEncoder, BodySnapshot
from mockrec.engine.recording.body_files import BodyFiles
from mockrec.engine.recording.body_spill import BodySpill
from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor, SecretScope
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.formats.content.codings import UndecodableError
from mockrec.formats.schema.check import check_body

MARKS = Placeholders(b"k")
LONG = b"line of text\n" * 40_000


class Stage:
    def __init__(
        self, folder: Path, *, limit: int = 1 << 30, mode: str = "decoded", policy: Policy | None = None
    ) -> None:
        self.folder = folder / "s.bodies"
        redactor = Redactor(policy or Policy(), MARKS)
        self.encoder = BodyEncoder(mode, limit, redactor, BodyFiles([str(folder / "s")]))
        self.owner = SecretScope()

    def kept(
        self, data: bytes, headers: dict[str, Any], *, incomplete: bool = False, known: SecretMap | None = None
    ) -> dict[str, Any]:
        body = MessageBody(1 << 30, open_spill=lambda: self.encoder.spill(headers, "response", known))
        for start in range(0, len(data), 50_000):
            body.add(data[start : start + 50_000])
        self.was_spilled = body.spill is not None
        record = self.encoder.snapshot(BodySnapshot(body), headers, "response", self.owner, incomplete=incomplete)
        assert check_body(record, "body") == []
        return record

    def content(self, record: dict[str, Any]) -> bytes:
        return (self.folder / record["file"]).read_bytes()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_short_body_is_inline(stage: Stage) -> None:
    record = stage.kept(b"x" * SPILLED, {})
    assert record == {"size": SPILLED, "text": "x" * SPILLED}
    assert not stage.folder.exists()


def test_a_long_body(stage: Stage) -> None:
    record = stage.kept(LONG, {"content-type": "text/plain"})
    assert stage.was_spilled
    assert record.keys() == {"size", "file", "sha256"}
    assert stage.content(record) == LONG


def test_a_long_body_in_one_piece(stage: Stage) -> None:
    assert stage.content(stage.encoder.whole(LONG, {})) == LONG
    assert stage.content(stage.encoder.chunk(LONG)) == LONG
    latin = b"\xe4" * 300_000
    record = stage.encoder.whole(latin, {"content-type": "text/plain; charset=latin-1"})
    assert stage.content(record) == latin
    assert "charset" not in record


def test_known_and_new_secrets_are_replaced(stage: Stage) -> None:
    known = SecretMap()
    known.add(("from-the-head",), MARKS.mark("from-the-head"))
    body = b"token=found-inside&x=1\n" + LONG + b"from-the-head and found-inside\n"
    record = stage.kept(body, {}, known=known)
    assert record["redacted"] is True
    content = stage.content(record)
    assert content.endswith(f"{MARKS.mark('from-the-head')} and {MARKS.mark('found-inside')}\n".encode())
    assert stage.owner.known is not None
    assert "found-inside" in stage.owner.known.marks


def test_codings(stage: Stage) -> None:
    content = os.urandom(400_000)
    packed = gzip.compress(content)
    record = stage.kept(packed, {"content-encoding": "gzip"})
    assert (record["size"], record["encodedSize"], "truncated" in record) == (400_000, len(packed), False)
    assert stage.content(record) == content
    cut = stage.kept(packed[:300_000], {"content-encoding": "gzip"})
    assert cut["truncated"] is True
    begun = stage.kept(packed[:300_000], {"content-encoding": "gzip"}, incomplete=True)
    assert (begun["incomplete"], "truncated" in begun) == (True, False)
    broken = stage.kept(packed[:300_000] + b"\0" * 100_000, {"content-encoding": "gzip"})
    assert broken["truncated"] is True
    assert content.startswith(stage.content(broken)[:200_000])
    unknown = stage.kept(LONG, {"content-encoding": "rot13"})
    assert unknown["undecodable"] is True
    assert stage.content(unknown) == LONG


def test_a_decompression_bomb(stage: Stage) -> None:
    bomb = os.urandom(300_000) + b"\0" * 400_000_000
    record = stage.kept(gzip.compress(bomb, 1)[:700_000], {"content-encoding": "gzip"})
    assert record["truncated"] is True
    assert len(stage.content(record)) <= record["encodedSize"] * 200


def test_utf_16(stage: Stage) -> None:
    text = 'ä {"password": "hunter2hunter"}\n' + LONG.decode()
    record = stage.kept(text.encode("utf-16"), {"content-type": "text/plain; charset=UTF-16"})
    assert record["redacted"] is True
    assert stage.content(record).decode() == text.replace("hunter2hunter", MARKS.mark("hunter2hunter"))


def test_the_limit(tmp_path: Path) -> None:
    stage = Stage(tmp_path, limit=300_000)
    record = stage.kept(LONG, {})
    assert (record["size"], record["truncated"]) == (len(LONG), True)
    assert stage.content(record) == LONG[:300_000]
    assert stage.encoder.truncated == 1
    assert "file" not in Stage(tmp_path, limit=1000).kept(LONG, {})


@pytest.mark.parametrize("mode", ["raw", "both"])
def test_modes_that_keep_the_wire_bytes_do_not_spill(tmp_path: Path, mode: str) -> None:
    stage = Stage(tmp_path, mode=mode)
    packed = gzip.compress(os.urandom(400_000))
    record = stage.kept(packed, {"content-encoding": "gzip"})
    assert not stage.was_spilled
    assert (stage.content(record) == packed) is (mode == "raw")


def test_redaction_by_paths_needs_the_whole_body(tmp_path: Path) -> None:
    stage = Stage(tmp_path, policy=Policy(("json:$.a",)))
    body = b'{"a": "secret value", "b": "' + b"x" * 300_000 + b'"}'
    record = stage.kept(body, {"content-type": "application/json"})
    assert not stage.was_spilled
    assert stage.content(record) == body.replace(b"secret value", MARKS.mark("secret value").encode())


def test_a_body_that_only_the_log_reads_is_not_in_memory(stage: Stage) -> None:
    body = MessageBody(1 << 30, wanted=False, open_spill=lambda: stage.encoder.spill({}, "", None))
    for _ in range(20):
        body.add(bytes(1024 * 1024))
    assert body.kept == b""
    with pytest.raises(UndecodableError, match="not held in memory"):
        body.decoded("")
    assert stage.encoder.snapshot(BodySnapshot(body), {})["size"] == 20 * 1024 * 1024


def test_a_short_body_that_only_the_log_reads(stage: Stage) -> None:
    body = MessageBody(1 << 30, wanted=False, open_spill=lambda: stage.encoder.spill({}, "", None))
    body.add(b"ab")
    assert stage.encoder.snapshot(BodySnapshot(body), {}) == {"size": 2, "text": "ab"}


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("before", [0, 1, 15])
def test_a_request_body_that_a_rule_reads_is_kept_up_to_the_limit(stage: Stage, before: int, wanted: bool) -> None:
    """However much of it had come when the rule was chosen."""
    piece = bytes(range(256)) * 4096
    body = MessageBody(1 << 30, holds=True, open_spill=lambda: stage.encoder.spill({}, "", None))
    for _ in range(before):
        body.add(piece)
    assert b"".join(body.release(wanted=wanted)) == piece * before
    for _ in range(15 - before):
        body.add(piece)
    assert body.kept == (piece * 15 if wanted else b"")
    assert stage.content(stage.encoder.snapshot(BodySnapshot(body), {})) == piece * 15


def test_a_body_that_is_not_logged_leaves_no_file(stage: Stage) -> None:
    body = MessageBody(1 << 30, open_spill=lambda: stage.encoder.spill({}, "", None))
    body.add(LONG)
    assert len(list(stage.folder.iterdir())) == 1
    del body
    assert list(stage.folder.iterdir()) == []


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-8"])
def test_no_secret_in_wide_characters_is_missed_where_pieces_meet(stage: Stage, coding: str) -> None:
    text = "".join(f"line {number} of text\npassword=hunter2-{number:06d}\n" for number in range(9_000))
    record = stage.kept(text.encode(coding), {"content-type": "text/plain"})
    content = stage.content(record)
    assert record["redacted"] is True
    assert "hunter2" not in content.decode(coding)
    assert content.decode(coding).count("password=redacted-") == 9_000


class _Count:
    """A backlog that only counts what is given to it, and does that at once."""

    def __init__(self) -> None:
        self.size = 0

    def put(self, owner: Any, work: Any, done: Any, size: int) -> None:
        self.size += size
        done(work())


@pytest.mark.parametrize(
    ("piece", "policy", "values"),
    [
        ("password=x\n".encode("utf-16-le"), Policy(), ()),
        ("\ufeffpassword=x\n".encode("utf-16-be"), Policy(), ()),
        (b"abc def ghi\n", Policy(["text:abc"]), ()),
        (b"my-token-of-the-environment\n", Policy(), ("my-token-of-the-environment",)),
    ],
)
def test_redaction_that_takes_long_runs_in_another_thread(
    tmp_path: Path, piece: bytes, policy: Policy, values: tuple[str, ...]
) -> None:
    files, backlog = BodyFiles([str(tmp_path / "s")]), _Count()
    file = files.open()
    assert file is not None
    spill = BodySpill(file, {}, 1 << 30, Redactor(policy, MARKS, values), "request", None, backlog)  # type: ignore[arg-type]
    body = piece * (300_000 // len(piece))
    spill.feed(body)
    spill.abandon()
    assert backlog.size == len(body)


def test_bytes_over_the_limit_are_decoded_to_be_counted(tmp_path: Path) -> None:
    stage = Stage(tmp_path, limit=300_000)
    noise = random.Random(1).randbytes(500_000)
    packed = gzip.compress(noise)
    record = stage.kept(packed, {"content-encoding": "gzip"})
    assert stage.was_spilled
    assert (record["size"], record["encodedSize"], record["truncated"]) == (500_000, len(packed), True)
    assert stage.content(record) == noise[:300_000]
    exactly = stage.kept(gzip.compress(noise[:300_000]), {"content-encoding": "gzip"})
    assert exactly["size"] == 300_000 and "truncated" not in exactly, "nothing is missing"
