"""Rules that are added at run time: what they are read from, and what they may not reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mockrec.engine.errors import ConfigError, RuleFileError
from mockrec.engine.run.control.cassette import path_below
from mockrec.engine.run.control.posted import load_posted


def problems(body: bytes, folder: Path, *, is_yaml: bool = False) -> list[tuple[int, int, str]]:
    with pytest.raises(RuleFileError) as refused:
        load_posted(body, is_yaml=is_yaml, folder=str(folder), cassettes=None)
    return [(one.line, one.column, one.message) for one in refused.value.problems]


@pytest.mark.parametrize(
    "text",
    ["plain", "🙂 ü", 'a\tb\\ " / \u2028', "$${HOME}", "\\ud83d\\ude42", "\\🙂", "\x7f\x85\u2029\ufeff"],
)
def test_json_means_what_it_says(tmp_path: Path, text: str) -> None:
    value = {"scope": "s", "rules": [{"then": {"reply": {"body": text}}}]}
    written = [json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent="\t")]
    for body in written:
        escaped = body.replace("/", "\\/").encode()
        loaded, scope = load_posted(escaped, is_yaml=False, folder=str(tmp_path), cassettes=None)
        assert scope == "s"
        assert loaded.rule_file.rules[0].steps[0].body.text == text.replace("$$", "$")  # type: ignore[attr-defined]


def test_problems_have_their_places(tmp_path: Path) -> None:
    body = b'{"rules": [\n  {"then": {"reply": {"statu": 1}}}\n]}'
    assert [(line, column) for line, column, _ in problems(body, tmp_path)] == [(2, 23)]
    assert problems(b'{"rules": [,]}', tmp_path)[0][:2] == (1, 12)
    assert "is missing" in problems(b"{}", tmp_path)[0][2]
    assert 'unknown key "server"' in problems(b'{"rules": [], "server": {}}', tmp_path)[0][2]


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (tmp_path / "rules" / "inside").write_text("inside", encoding="utf-8")
    (tmp_path / "rules" / "link").symlink_to(tmp_path / "secret")
    for name, fits in (("inside", True), ("link", False), ("../secret", False), ("../rules/inside", True)):
        body = json.dumps({"rules": [{"then": {"reply": {"file": name}}}]}).encode()
        if fits:
            load_posted(body, is_yaml=False, folder=str(tmp_path / "rules"), cassettes=None)
        else:
            assert "below the folder" in problems(body, tmp_path / "rules")[0][2]


def test_cassettes_lie_below_their_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    assert path_below(str(tmp_path), "a/b.jsonl") == str(tmp_path.resolve() / "a" / "b.jsonl")
    for name in ("../a", "/etc/hosts", "link/hosts", ".", ""):
        with pytest.raises(ConfigError, match="below"):
            path_below(str(tmp_path), name)
    with pytest.raises(ConfigError, match="--cassettes"):
        path_below(None, "a")
