"""The pytest plugin: the fixtures `mockrec` and `mockrec_env`, the marker `mockrec`, and its options.

pytest imports this in every run, so it imports nothing but the standard library until a fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mockrec.testing.fixture import Mockrec
    from mockrec.testing.recorder import Recorder

_FIXTURES = ("mockrec", "mockrec_env", "mockrec_recorder")
_RECORDER = pytest.StashKey["Recorder"]()
_ACTIVE = pytest.StashKey["Mockrec"]()
_MARKER_OPTIONS = {"cassette": "cassette", "on_miss": "onMiss", "max_age": "maxAge"}
_ON_MISS = ("fail", "passthrough", "record")
_SCOPE = "{scope}"
_PASSED = pytest.StashKey[bool]()
_MOST_REPORT = 20_000
"""Characters of the section of a failing test's report."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("mockrec", "mockrec, the HTTP recorder")
    group.addoption(
        "--mockrec-record",
        metavar="PATH",
        help="Record all exchanges to this file; requests that no rule matches go to the servers that are meant. With"
        " {scope} in the name, each test has a file of its own; else each worker of pytest-xdist (session.gw0.jsonl).",
    )
    group.addoption(
        "--mockrec-replay",
        metavar="PATH",
        help="Answer from this recorded session in every test; with {scope} in the name, each test has its own.",
    )
    group.addoption(
        "--mockrec-on-miss",
        choices=_ON_MISS,
        help="What a request without a recording gets: fail (a 503), passthrough (what its server answers), or record"
        " (that, which is added to the recorded session if the test passes).",
    )
    group.addoption(
        "--mockrec-report", metavar="FILE.html", help="Write a page with the exchanges of every test to this file."
    )
    parser.addini("mockrec_rules", "The rule file of the recorder, relative to the ini-file.", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the page of --mockrec-report in the process that writes it."""
    config.addinivalue_line(
        "markers", "mockrec(cassette, on_miss, max_age): the recorded session that answers the requests of a test."
    )
    path = config.getoption("--mockrec-report")
    if path and not hasattr(config, "workerinput"):
        from mockrec.testing.page import ReportPage

        config.pluginmanager.register(ReportPage(Path(config.invocation_params.dir, path)), "mockrec-report")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the recorder if a test will use it: it gets ready while other tests run."""
    if session.config.option.collectonly:
        return
    if any(name in _FIXTURES for item in session.items for name in getattr(item, "fixturenames", ())):
        _recorder_of(session.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the recorder, so that its log is complete."""
    recorder = config.stash.get(_RECORDER, None)
    if recorder is not None:
        recorder.stop()


def _recorder_of(config: pytest.Config) -> Recorder:
    """Return the recorder of this process; start it if that has not been done."""
    recorder = config.stash.get(_RECORDER, None)
    if recorder is None:
        from mockrec.testing.recorder import Recorder

        rules = config.getini("mockrec_rules")
        recorder = config.stash[_RECORDER] = Recorder(
            *_options(config),
            rules=Path(config.rootpath, rules) if rules else None,
            cassettes=_cassettes(config),
        )
    return recorder


def _options(config: pytest.Config) -> list[str]:
    """Return the options of `mockrec run`."""
    record = config.getoption("--mockrec-record")
    if not record:
        return ["-o", "none", "--unmatched", "reject"]
    path = Path(config.invocation_params.dir, record)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and _SCOPE not in record:
        name, dot, extension = path.name.partition(".")
        path = path.with_name(f"{name}.{worker}{dot}{extension}")
    if "{" not in record:
        path.parent.mkdir(parents=True, exist_ok=True)
    # Braces in the path of the folder are no placeholders; those in the option are.
    folder = str(config.invocation_params.dir)
    output = str(path) if not str(path).startswith(folder) else _braced(folder) + str(path)[len(folder) :]
    return ["-o", output, "--force", "--unmatched", "passthrough"]


def _braced(text: str) -> str:
    """Return the name of an output in which no brace begins a placeholder."""
    return text.replace("{", "{{").replace("}", "}}")


def _cassettes(config: pytest.Config) -> Path:
    """Return the folder below which all cassettes lie."""
    replay = config.getoption("--mockrec-replay")
    if not replay:
        return config.rootpath
    path = Path(config.invocation_params.dir, replay).resolve().parent
    if config.getoption("--mockrec-on-miss") == "record" and _SCOPE not in str(path):
        path.mkdir(parents=True, exist_ok=True)
    return Path(os.path.commonpath([config.rootpath, path]))


def _scope_options(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return what the marker and the options say about recordings."""
    config, marker = request.config, request.node.get_closest_marker("mockrec")
    given: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    for name in given:
        if name not in _MARKER_OPTIONS:
            raise pytest.UsageError(
                f"{request.node.nodeid}: the marker mockrec has no {name}; expected {', '.join(_MARKER_OPTIONS)}"
            )
    on_miss = config.getoption("--mockrec-on-miss")
    if "cassette" in given:
        given["cassette"] = str(Path(request.path.parent, given["cassette"]))
    elif config.getoption("--mockrec-replay"):
        given["cassette"] = str(Path(config.invocation_params.dir, config.getoption("--mockrec-replay")))
    if on_miss and "cassette" in given:
        given.setdefault("on_miss", on_miss)
    if given.get("on_miss") == "record" and _SCOPE not in given.get("cassette", _SCOPE) and _has_other_workers():
        raise pytest.UsageError(
            f"{request.node.nodeid}: with workers of pytest-xdist, tests that record need a file each, such as"
            " 'cassettes/{scope}.jsonl'; or record without -n"
        )
    return {_MARKER_OPTIONS[name]: str(value) for name, value in given.items() if value is not None}


def _has_other_workers() -> bool:
    """Whether this process is one of several workers of pytest-xdist."""
    return "PYTEST_XDIST_WORKER" in os.environ and os.environ.get("PYTEST_XDIST_WORKER_COUNT") != "1"


@pytest.fixture(scope="session")
def mockrec_recorder(request: pytest.FixtureRequest) -> Recorder:
    """The recorder of this process."""
    return _recorder_of(request.config)


@pytest.fixture
def mockrec(request: pytest.FixtureRequest, mockrec_recorder: Recorder) -> Iterator[Mockrec]:
    """A mock server and a proxy for this test, without rules and exchanges of other tests."""
    from mockrec.testing.client import ControlError
    from mockrec.testing.fixture import Mockrec

    options = _scope_options(request)
    mockrec_recorder.client.reset()
    name = request.node.nodeid
    try:
        active = Mockrec(mockrec_recorder, name, mockrec_recorder.client.open_scope(name, **options))
    except ControlError as error:
        raise pytest.UsageError(f"{request.node.nodeid}: {error}") from None
    request.node.stash[_ACTIVE] = active
    try:
        yield active
    finally:
        # What was recorded belongs to the cassette only if the test has passed.
        closed = mockrec_recorder.client.close_scope(
            active.scope, "passed" if request.node.stash.get(_PASSED, False) else "failed"
        )
        for text in closed["notAdded"]:
            request.node.warn(pytest.PytestWarning(f"mockrec: not added to the cassette: {text}"))


@pytest.fixture
def mockrec_env(mockrec: Mockrec, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of this process, in which clients use the recorder as their proxy and trust its certificates."""
    env = mockrec.env
    for name, value in env.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    return env


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the exchanges to the report of a failing test, and to that of every test for --mockrec-report."""
    report = yield
    active = item.stash.get(_ACTIVE, None)
    if call.when == "call":
        item.stash[_PASSED] = report.passed
    wants_page = bool(item.config.getoption("--mockrec-report"))
    if active is not None and call.when == "call" and (report.failed or wants_page):
        text = _exchanges_text(active)
        if report.failed and text:
            report.sections.append(("mockrec exchanges", text))
        if wants_page:
            vars(report)["mockrec"] = text  # pytest-xdist passes it on to the process that writes the page
    return report


def _exchanges_text(active: Mockrec) -> str:
    from mockrec.testing.client import ControlError
    from mockrec.testing.exchanges import report

    try:
        text = report(active.exchanges())
    except ControlError as error:  # the report of a failure must not fail itself
        text = f"mockrec: {error}"
    return text if len(text) <= _MOST_REPORT else f"{text[:_MOST_REPORT]} …"
