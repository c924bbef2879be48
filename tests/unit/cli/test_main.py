"""From an argument list to an exit code: usage, errors of every kind, defects, COMMAND, outputs that close."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from mockrec.cli import printing
from mockrec.cli.options import invocation

Mockrec = Callable[..., Any]

EXCHANGE = "aaaaaaaa-0000-7000-8000-000000000000"
PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ISSUES = PROJECT["urls"]["Issues"]


class UserError(Exception):
    """In place of the errors of engine and formats: each carries its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@pytest.fixture
def failing(mockrec: Mockrec, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs `check` while it fails in a given way."""

    def run(error: BaseException, *arguments: str) -> Any:
        def fail(_: Path) -> None:
            raise error

        monkeypatch.setattr("mockrec.engine.run.rulefile.load_file", fail)
        return mockrec("check", "rules.yaml", *arguments)

    return run


@pytest.fixture
def defects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files about defects go."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def with_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """The exit code of `run -- COMMAND` that ends in a given way before COMMAND was run."""
    from mockrec.cli import __main__ as main_module

    def run(error: BaseException) -> int:
        def fail(**_: object) -> None:
            raise error

        monkeypatch.setattr(main_module.typer.main, "get_command", lambda _: fail)
        return main_module.main(["run", "--", "ls"])

    return run


# ── help and usage ─────────────────────────────────────────────────────────────────────────────────


def test_help_names_every_command(mockrec: Mockrec) -> None:
    done = mockrec("--help")
    assert (done.code, done.err) == (0, "")
    assert {"run", "check", "filter", "show", "verify"} <= {line.split()[0] for line in done.lines if line.strip()}


@pytest.mark.parametrize("command", ["run", "check", "filter", "show", "stats", "verify"])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(mockrec: Mockrec, command: str, flag: str) -> None:
    done = mockrec(command, flag)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: mockrec {command} ")


def test_the_version(mockrec: Mockrec) -> None:
    done = mockrec("--version")
    assert (done.code, done.err) == (0, "")
    name, version = done.out.split()
    assert name == "mockrec"
    assert version[0].isdigit()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command"),
        (["--nonsense"], "No such option"),
        (["show"], "SESSION"),
        (["show", "a", "b", "c"], "c"),
        (["show", "a", "--as", "xml"], "xml"),
        (["show", "a", "--nonsense"], "--nonsense"),
        (["verify", "a", "--file-mode", "rw"], "expected a file mode such as 0600"),
    ],
)
def test_wrong_usage(mockrec: Mockrec, arguments: list[str], message: str) -> None:
    done = mockrec(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Usage: mockrec" in done.err
    assert message in done.err


def test_no_arguments_show_the_help(mockrec: Mockrec) -> None:
    done = mockrec()
    assert done.code == 2
    assert "Usage: mockrec" in done.out + done.err


# ── COMMAND ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", ["show", "check", "verify"])
def test_only_run_and_replay_take_a_command(mockrec: Mockrec, command: str) -> None:
    done = mockrec(command, "x", "--", "ls", "--help")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"mockrec: {command} takes no COMMAND after --; only run and replay --serve do\n"


@pytest.mark.parametrize("arguments", [["run", "--"], ["--"], ["show", "x", "--"]])
def test_a_command_must_be_there(mockrec: Mockrec, arguments: list[str]) -> None:
    done = mockrec(*arguments)
    assert (done.code, done.out, done.err) == (2, "", "mockrec: there is no COMMAND after --\n")


def test_the_first_separator_splits_and_later_ones_belong_to_command(mockrec: Mockrec) -> None:
    mockrec("show", "x", "--", "npm", "test", "--", "--help")
    assert invocation.command == ["npm", "test", "--", "--help"]


def test_a_command_is_forgotten_with_its_run(mockrec: Mockrec) -> None:
    mockrec("show", "x", "--", "ls")
    mockrec("--version")
    assert invocation.command is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("no", 2), 125),
        (UserError("disk full", 3), 125),
        (typer.BadParameter("no"), 125),
        (KeyboardInterrupt(), 130),
    ],
)
@pytest.mark.usefixtures("capsys")
def test_with_a_command_own_failures_share_a_code(
    with_command: Callable[[BaseException], int], error: BaseException, code: int
) -> None:
    assert with_command(error) == code


@pytest.mark.usefixtures("capsys", "defects")
def test_a_defect_with_a_command(with_command: Callable[[BaseException], int]) -> None:
    assert with_command(ZeroDivisionError()) == 125


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [1, 2, 3])
def test_an_error_for_the_user_is_one_message_and_its_code(failing: Callable[..., Any], code: int) -> None:
    done = failing(UserError("what went wrong", code))
    assert (done.code, done.out, done.err) == (code, "", "mockrec: what went wrong\n")


def test_problems_of_a_file_stand_for_themselves(failing: Callable[..., Any]) -> None:
    error = UserError("rules.yaml:1:1: a\nrules.yaml:2:1: \x1b", 2)
    error.problems = ()  # type: ignore[attr-defined]
    done = failing(error)
    assert (done.code, done.out, done.err) == (2, "", "rules.yaml:1:1: a\nrules.yaml:2:1: \\x1b\n")


def test_quiet_mutes_no_error(failing: Callable[..., Any]) -> None:
    assert failing(UserError("no", 2), "-q").err == "mockrec: no\n"


def test_quiet_ends_with_its_command(mockrec: Mockrec, capsys: pytest.CaptureFixture[str]) -> None:
    mockrec("check", "nowhere.yaml", "-q", "-v")
    mockrec("--version")
    printing.note("said")
    printing.detail("not said")
    assert capsys.readouterr().err == "said\n"


def test_messages_keep_their_lines_but_no_control_characters(failing: Callable[..., Any]) -> None:
    assert failing(UserError("one\ntwo\x1b[0m", 2)).err == "mockrec: one\ntwo\\x1b[0m\n"


def test_errors_in_a_group_are_all_told_and_the_worst_counts(failing: Callable[..., Any]) -> None:
    group = BaseExceptionGroup("tasks", [UserError("a", 2), ExceptionGroup("more", [UserError("b", 3)])])
    done = failing(group)
    assert (done.code, done.err) == (3, "mockrec: a\nmockrec: b\n")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BaseExceptionGroup("tasks", [UserError("a", 2), KeyboardInterrupt()])]
)
def test_an_interrupt(failing: Callable[..., Any], error: BaseException) -> None:
    done = failing(error)
    assert (done.code, done.err) == (130, "")


@pytest.mark.parametrize("error", [BrokenPipeError(), UserError("the reader went away", 141)])
def test_a_reader_who_went_away(failing: Callable[..., Any], error: BaseException) -> None:
    done = failing(error)
    assert (done.code, done.out, done.err) == (141, "", "")


# ── defects ────────────────────────────────────────────────────────────────────────────────────────


def test_the_traceback_of_a_defect_goes_to_a_file_that_is_named(failing: Callable[..., Any], defects: Path) -> None:
    done = failing(ZeroDivisionError("by\nzero"))
    assert (done.code, done.out) == (70, "")
    (file,) = defects.glob("mockrec-defect-*.txt")
    assert done.err == (
        rf"mockrec: a defect in mockrec: ZeroDivisionError: by\nzero; please report it at {ISSUES} with {file}" + "\n"
    )
    text = file.read_text()
    assert text.startswith("mockrec ")
    assert "Traceback (most recent call last):" in text
    assert "raise error" in text


@pytest.mark.parametrize("code", [None, "2", 2.0])
def test_an_error_without_a_usable_code_is_a_defect(failing: Callable[..., Any], defects: Path, code: Any) -> None:
    assert failing(UserError("no", code)).code == 70
    assert len(list(defects.iterdir())) == 1


def test_a_defect_beside_an_error_is_a_defect(failing: Callable[..., Any], defects: Path) -> None:
    assert failing(ExceptionGroup("tasks", [UserError("a", 2), ValueError("b")])).code == 70
    (file,) = defects.iterdir()
    assert "ValueError: b" in file.read_text()


def test_a_traceback_that_no_encoding_holds_is_kept(failing: Callable[..., Any], defects: Path) -> None:
    assert failing(ValueError("\ud800")).code == 70
    (file,) = defects.iterdir()
    assert r"ValueError: \ud800" in file.read_text()


def test_a_defect_without_room_for_a_file_is_told_at_length(
    failing: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    done = failing(ZeroDivisionError("no"))
    assert done.code == 70
    assert "Traceback (most recent call last):" in done.err
    assert done.err.endswith(
        f"a defect in mockrec: ZeroDivisionError: no; please report it at {ISSUES} with the lines above\n"
    )


# ── outputs of the process ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def session(recording: Any, tmp_path: Path) -> Path:
    """One whose list is longer than any buffer."""
    recording.start()
    for number in range(2000):
        recording.exchange(f"{number:08}-0000-7000-8000-000000000000")
    return recording.end().write(tmp_path / "s.jsonl")


def process(*arguments: object, unbuffered: str = "", **how: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "mockrec.cli", *map(str, arguments)]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered, **how.pop("env", {})}
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, timeout=60, env=env, **how)


# A list longer than any buffer fails while it is written, a short verdict only at the end, unless nothing is buffered.
written = pytest.mark.parametrize(("command", "unbuffered"), [("show", ""), ("verify", ""), ("verify", "1")])


def test_the_exit_code_is_that_of_the_process(tmp_path: Path) -> None:
    done = process("show", tmp_path / "nowhere", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.endswith(b"nowhere: No such file or directory\n")


@written
def test_a_closed_pipe(session: Path, command: str, unbuffered: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = process(command, session, unbuffered=unbuffered, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_closed_pipe_for_the_help() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = process("--help", stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@written
def test_a_stdout_without_room(session: Path, command: str, unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:
        done = process(command, session, unbuffered=unbuffered, stdout=full)
    assert (done.returncode, done.stderr) == (3, b"mockrec: cannot write stdout: No space left on device\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_change_no_exit_code(session: Path, tmp_path: Path, closed: str) -> None:
    script = f'"$0" -m mockrec.cli "$1" "$2" {closed}'
    for command, path, code in (("verify", session, 0), ("show", session, 0), ("show", tmp_path / "nowhere", 2)):
        done = subprocess.run(
            ["sh", "-c", script, sys.executable, command, path], capture_output=True, check=False, timeout=60
        )
        assert (done.returncode, done.stdout) == (code, b"")
        assert b"Traceback" not in done.stderr


def test_a_stdout_in_ascii_shows_escapes(recording: Any, tmp_path: Path) -> None:
    path = recording.start().exchange(EXCHANGE, url="http://é/").end().write(tmp_path / "s.jsonl")
    done = process("show", path, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert rb"http://\xe9/" in done.stdout


def test_help_imports_neither_the_engine_nor_what_is_heavy() -> None:
    script = (
        "import sys\n"
        "from mockrec.cli.__main__ import main\n"
        "assert main(['--help']) == 0\n"
        "heavy = ('mockrec.engine', 'OpenSSL', 'pyarrow', 'anyio', 'orjson', 'msgspec', 'yaml', 'jinja2', 'jsonschema_rs', 're2', 'rich')\n"
        "found = [name for name in sys.modules if name.startswith(heavy)]\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
