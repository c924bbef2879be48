"""What other tools have recorded: every command that reads, without any extra."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from plain_install import Run

ENTRY = {
    "startedDateTime": "2026-01-01T00:00:00Z",
    "time": 5,
    "request": {"method": "GET", "url": "http://a.test/x", "httpVersion": "HTTP/1.1", "headers": []},
    "response": {
        "status": 200,
        "statusText": "OK",
        "httpVersion": "HTTP/1.1",
        "headers": [{"name": "Content-Type", "value": "text/plain"}],
        "content": {"size": 2, "mimeType": "text/plain", "text": "hi"},
    },
}
CASSETTE = """\
interactions:
- request: {body: null, headers: {Accept: ['*/*']}, method: GET, uri: http://a.test/x}
  response:
    body: {string: hi}
    headers: {Content-Type: [text/plain]}
    status: {code: 200, message: OK}
version: 1
"""


def written(folder: Path, name: str) -> Path:
    path = folder / name
    har = json.dumps({"log": {"version": "1.2", "creator": {"name": "WebInspector"}, "entries": [ENTRY]}})
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("har.har", har)
    else:
        path.write_text(CASSETTE if name.endswith(".yaml") else har)
    return path


@pytest.mark.parametrize("name", ["a.har", "a.har.zip", "cassette.yaml"])
def test_every_command_that_reads(mockrec: Run, tmp_path: Path, name: str) -> None:
    session = written(tmp_path, name)
    assert "http://a.test/x" in mockrec(tmp_path, "show", session).stdout
    assert json.loads(mockrec(tmp_path, "stats", session, "--json").stdout)["exchanges"] == 1
    mockrec(tmp_path, "verify", session)
    assert mockrec(tmp_path, "filter", session, "status == 200", "--count").stdout == "1\n"
    mockrec(tmp_path, "diff", session, session)
    mockrec(tmp_path, "replay", session, "--to-rules", "rules.yaml")
    mockrec(tmp_path, "check", "rules.yaml")
    mockrec(tmp_path, "filter", session, "-o", "as.parquet")
    assert mockrec(tmp_path, "filter", "as.parquet", "body == hi", "--count").stdout == "1\n"
