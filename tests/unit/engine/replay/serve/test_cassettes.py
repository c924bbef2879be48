"""The sessions that a run answers from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.errors import ConfigError
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.replay.serve.cassettes import Replays
from mockrec.engine.rules.model import Replay, SourceLocation


@pytest.fixture
def session(recorded: Any, tmp_path: Path) -> str:
    recorded.add("request", "1", method="GET", url="http://shop.test/a", path="/a")
    recorded.add("response", "1", statusCode=200)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for _, record in recorded.records), encoding="utf-8")
    return str(path)


def step(session: str, **fields: Any) -> Replay:
    return Replay(SourceLocation("rules.yaml", 3, 9, "rules[0].then.replay"), session=session, **fields)


@pytest.mark.anyio
async def test_each_step_has_its_session(session: str, stage: Any) -> None:
    replays = Replays(SocketSettings())
    acts = [replays.act(step(session)), replays.act(step(session, match=("path",), ignore=("query:x",), repeat=False))]
    assert len(replays.cassettes) == 2
    for _ in range(2):
        for act in acts:
            await stage.act(act)
            await stage.act(act, "GET /a")
    # `/` twice from each, and the second `/a` where the last is the end.
    assert replays.missed == 5
    replays.close()
    with pytest.raises(ValueError, match="closed"):
        replays.cassettes[0].read((0, 1))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"session": "/none.jsonl"}, "/none.jsonl: No such file"),
        ({"latency": "x"}, "expected recorded, none"),
        ({"ignore": ("x",)}, "expected a selector"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(session: str, fields: dict[str, Any], said: str) -> None:
    replays = Replays(SocketSettings())
    with pytest.raises(ConfigError, match=said) as caught:
        replays.act(step(**{"session": session, **fields}))
    assert "rules.yaml:3:9" in str(caught.value)
    assert replays.cassettes == []


def test_without_a_file_there_is_no_place() -> None:
    replay = Replay(SourceLocation("", 0, 0, ""), session="/none.jsonl")
    with pytest.raises(ConfigError, match=r"^/none\.jsonl: "):
        Replays(SocketSettings()).act(replay)
