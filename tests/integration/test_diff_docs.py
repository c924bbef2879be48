"""What the pages about comparing show is what happens: the sample, the workflow files, the shell script."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DIFF_PAGE = (ROOT / "docs" / "diff.md").read_text(encoding="utf-8")
CI_PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")

# A test suite with its server: one call through the proxy that its environment names.
SUITE = """\
import http.server, json, threading, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"name": "Chair", "price": PRICE}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/things/1", timeout=20) as answer:
    assert answer.status == 200 and answer.read()  # whoever leaves earlier may leave before the body is recorded
"""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def mockrec(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mockrec.cli", *arguments]
    environment = {**os.environ, "COLUMNS": "120"}
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_sample_is_told_as_the_page_shows_it() -> None:
    command = blocks(DIFF_PAGE, "sh")[0].split()
    done = mockrec(*command[1:])
    assert done.returncode == 1
    assert f"```\n{done.stdout}```" in DIFF_PAGE


def test_the_ignore_file_of_the_sample() -> None:
    done = mockrec("diff", *(f"samples/diff/{name}.jsonl" for name in ("before", "after")),
                   "--ignore-file", "samples/diff/ignore.yaml")  # fmt: skip
    assert "  2 ignored by rules" in done.stdout.splitlines()
    assert done.stderr == ""


def test_workflow_files_are_whole() -> None:
    workflow, jobs = (yaml.safe_load(block) for block in blocks(CI_PAGE, "yaml")[:2])
    assert [step.get("uses", step.get("run")) for step in workflow["jobs"]["traffic"]["steps"]]
    assert {job: sorted(jobs[job]) for job in jobs} == {
        "record": ["artifacts", "image", "script"],
        "compare": ["artifacts", "image", "needs", "rules", "script"],
    }
    assert all(isinstance(line, str) for job in jobs.values() for line in job["script"])


def test_scripts_use_what_there_is() -> None:
    import typer.main

    from mockrec.cli.app import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    used = re.findall(r"mockrec (run|diff) ([^\n`]*)", CI_PAGE)
    assert len(used) >= 6
    for name, arguments in used:
        known = {
            option for parameter in commands[name].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", arguments.partition(" -- ")[0]))
        assert options <= known, arguments


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_shell_script_compares_with_main(tmp_path: Path) -> None:
    script = tmp_path / "compare-with-main"
    script.write_text(blocks(CI_PAGE, "sh")[0], encoding="utf-8")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "mockrec"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mockrec.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        **{f"GIT_{who}_{what}": "t@example.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=100)

    (work / "suite.py").write_text(SUITE.replace("PRICE", "40"), encoding="utf-8")
    for argv in (
        ("init", "-q"),
        ("add", "."),
        ("commit", "-qm", "x"),
        ("update-ref", "refs/remotes/origin/main", "HEAD"),
    ):
        assert run("git", *argv).returncode == 0
    same = run("bash", str(script), sys.executable, "suite.py")
    assert (same.returncode, same.stderr) == (0, "")
    (work / "suite.py").write_text(SUITE.replace("PRICE", "41"), encoding="utf-8")
    changed = run("bash", str(script), sys.executable, "suite.py")
    assert changed.returncode == 1, changed.stderr
    assert "response.json:$.price" in changed.stdout
    assert "1 difference in 1 pair; 1 changed" in changed.stdout
    assert "worktree" not in run("git", "worktree", "list", "--porcelain").stdout.replace("worktree " + str(work), "")
