"""samples/ci: the steps of the action, of the job and of the image do what they say, without GitHub, GitLab or Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from waiting import until_there

from mockrec.cli.check import check
from mockrec.engine.rules.language.load import json_schema

ROOT = Path(__file__).parents[2]
CI = ROOT / "samples" / "ci"
RULES = "rules:\n  - {id: hi, when: {path: /hi}, then: {reply: {body: hi}}}\n"
GET = f"{sys.executable} -c \"import os, urllib.request as u; u.urlopen(os.environ['MOCKREC_URL'] + '/hi')\""
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables with `mockrec` on the PATH."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "mockrec"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mockrec.cli "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not re.search("proxy", name, re.IGNORECASE)}
    return {
        **kept,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "MOCKREC_CA_DIR": str(tmp_path / "ca"),
    }


def run_action(folder: Path, environment: dict[str, str], **inputs: str) -> tuple[int, str, str]:
    """Run the steps of the action as GitHub does. Return the exit code, what was printed, and the summary."""
    action = yaml.safe_load((CI / "github" / "action.yml").read_text(encoding="utf-8"))
    values = {name: one.get("default", "") for name, one in action["inputs"].items()} | inputs
    files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("", encoding="utf-8")
    printed, failed = "", 0
    for step in action["runs"]["steps"]:
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        condition = step.get("if", "")
        known = {f"inputs.{name}": value for name, value in values.items()}
        known |= {f"steps.record.outputs.{name}": value for name, value in outputs.items()}
        if "uses" in step or (failed and "always()" not in condition) or not holds(condition, known):
            continue
        env = {name: substituted(text, known) for name, text in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=folder, capture_output=True,
            text=True, env={**environment, **env, **{name: str(file) for name, file in files.items()}}, check=False,
            timeout=120,
        )  # fmt: skip
        printed += done.stdout + done.stderr
        failed = failed or done.returncode
    return failed, printed, files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")


def holds(condition: str, known: dict[str, str]) -> bool:
    tests = re.findall(r"([\w.-]+) (!=|==) '([^']*)'", condition)
    return all((known.get(name, "") == value) is (operator == "==") for name, operator, value in tests)


def substituted(text: str, known: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: known.get(found[1], ""), text)


@needs_bash
def test_the_action_records_summarises_and_compares(tmp_path: Path, environment: dict[str, str]) -> None:
    code, printed, summary = run_action(tmp_path, environment, command=GET, rules="rules.yaml", session="main.jsonl")
    assert code == 0, printed
    assert "**1 exchange**" in summary and "/hi" in summary
    (tmp_path / "rules.yaml").write_text(RULES.replace("body: hi", "body: hello"), encoding="utf-8")
    code, printed, summary = run_action(
        tmp_path, environment, command=GET, rules="rules.yaml", session="branch.jsonl", baseline="main.jsonl"
    )
    assert code == 1, printed
    assert re.search(r"^::(error|warning) title=GET /hi", printed, re.MULTILINE), printed
    assert "### Recorded traffic" in summary


@needs_bash
def test_the_action_fails_as_the_command_does(tmp_path: Path, environment: dict[str, str]) -> None:
    code, printed, summary = run_action(tmp_path, environment, command="exit 3", rules="rules.yaml")
    assert code == 3, printed
    assert "**0 exchanges**" in summary
    (tmp_path / "rules.yaml").write_text("rules:\n  - then: response\n", encoding="utf-8")
    code, printed, summary = run_action(tmp_path, environment, command="true", rules="rules.yaml", session="new.jsonl")
    assert code != 0
    assert "::error file=rules.yaml,line=2," in printed


def test_texts_of_others_are_no_code() -> None:
    action = yaml.safe_load((CI / "github" / "action.yml").read_text(encoding="utf-8"))
    assert [step["name"] for step in action["runs"]["steps"] if "${{" in step.get("run", "")] == []


@needs_bash
def test_the_job_of_gitlab(tmp_path: Path, environment: dict[str, str]) -> None:
    job = yaml.safe_load((CI / "gitlab.yml").read_text(encoding="utf-8"))[".mockrec"]
    script = "\n".join(["set -e", *job["script"], *job["after_script"]])
    variables = {**job["variables"], "COMMAND": GET, "RULES": "rules.yaml"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={**environment, **variables}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 exchange," in done.stdout


def test_the_image(tmp_path: Path, environment: dict[str, str], recorder: Callable[..., Any]) -> None:
    """The health check of the Dockerfile, with its variables: it fails before the recorder is ready, and not after."""
    text = (CI / "docker" / "Dockerfile").read_text(encoding="utf-8")
    variables = dict(re.findall(r"^ENV (\w+)=(.+)$", text, re.MULTILINE))
    assert variables["MOCKREC_RUN_HOST"] == "0.0.0.0" and "USER 10001" in text
    check_command = json.loads(re.search(r"^HEALTHCHECK .*? CMD (\[.*\])$", text, re.MULTILINE)[1])  # type: ignore[index]
    check_command[0] = sys.executable
    ready = tmp_path / "ready" / "ready.json"
    ready.parent.mkdir()
    env = {**environment, "MOCKREC_RUN_READY_FILE": str(ready)}

    def is_healthy() -> bool:
        return subprocess.run(check_command, env=env, capture_output=True, check=False, timeout=60).returncode == 0

    assert not is_healthy()
    run = recorder(RULES)
    ready.write_text(json.dumps({"port": run.port}), encoding="utf-8")
    assert is_healthy()
    run.stop()
    assert not is_healthy()


def test_the_image_serves_records_and_stops(tmp_path: Path, environment: dict[str, str]) -> None:
    """What a container does: entry point, command and variables of the Dockerfile, with its folders in another place."""
    text = (CI / "docker" / "Dockerfile").read_text(encoding="utf-8")
    words = [json.loads(re.search(rf"^{name} (.*)$", text, re.MULTILINE)[1]) for name in ("ENTRYPOINT", "CMD")]  # type: ignore[index]
    (folders,) = re.findall(r"install -d .* -m 0700 (.+) \\?$|install -d .* -m 0700 (.+)$", text, re.MULTILINE)
    for folder in "".join(folders).split():
        (tmp_path / folder.lstrip("/")).mkdir()
    variables = {
        name: f"{tmp_path}{value}" if value.startswith("/") else value
        for name, value in re.findall(r"^ENV (\w+)=(.+)$", text, re.MULTILINE)
    }
    work = tmp_path / "work"
    (work / "rules.yaml").write_text(RULES, encoding="utf-8")
    env = {**environment, **variables, "MOCKREC_RUN_PORT": "0"}
    run = subprocess.Popen([*words[0], *words[1]], cwd=work, env=env, stderr=subprocess.PIPE, text=True)
    try:
        ready = Path(variables["MOCKREC_RUN_READY_FILE"])
        until_there(ready, run)
        port = json.loads(ready.read_text(encoding="utf-8"))["port"]
        url = f"http://127.0.0.1:{port}/hi"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
            assert answer.read() == b"hi"
        run.terminate()
        said = run.communicate(timeout=60)[1]
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 0, said
    assert sorted(one.name for one in (tmp_path / "ca").iterdir()) == ["ca.key", "ca.pem"]
    records = [json.loads(line) for line in (work / "session.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [one["type"] for one in records] == [
        "session-started", "request-initiated", "request", "response", "session-ended",
    ]  # fmt: skip


def test_the_hook_and_the_schema() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["entry"] == f"mockrec {check.__name__}"
    assert re.search(hook["files"], "tests/shop.mockrec.yaml")
    entry = json.loads((CI / "schemastore.json").read_text(encoding="utf-8"))
    path = entry["url"].partition("/main/")[2]
    assert json.loads((ROOT / path).read_text(encoding="utf-8")) == json.loads(json.dumps(json_schema()))
