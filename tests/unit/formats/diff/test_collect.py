"""Noise, baselines, fingerprints, and bounded reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.diff.baseline import BaselineError, read_baseline
from mockrec.formats.diff.collect import MOST_TEXT, general_path, shortened, shortened_pair
from mockrec.formats.diff.model.finding import ABSENT, Severity
from mockrec.formats.diff.report.json import report as report_json
from mockrec.formats.diff.result import Result

Compare = Callable[..., Result]
Differences = Callable[[Result], list[tuple[str, str, str]]]


def test_noise_is_values_only(make: Any, compare: Compare, differences: Differences) -> None:
    def session(n: int, **more: Any) -> Any:
        return [make.exchange(body={"n": n, "list": [{"v": n}], **more})]

    again = [make.exchange(status=201, body={"n": "text", "list": [{"v": 2}]})]
    result = compare(session(1), session(3), noise=session(2))
    assert (differences(result), result.noise, result.same) == ([], 2, True)
    # a status, another type and a missing field are never noise
    assert [path for _, _, path in differences(compare(session(1), again, noise=again))] == [
        "status",
        "response.json:$.n",
    ]
    assert [kind for kind, _, _ in differences(compare(session(1, x=1), session(1), noise=session(1)))] == ["removed"]


@pytest.mark.parametrize("host", ["old.test", "old.test:8080"])
def test_noise_of_a_mapped_host(make: Any, compare: Compare, differences: Differences, host: str) -> None:
    """A and its second recording have the host's name in A, in URLs and in bodies."""

    def session(host: str, run: int) -> Any:
        return [make.exchange(url=f"http://{host}/a", body={"run": run, "self": f"http://{host}/a"})]

    result = compare(session(host, 1), session("new.test", 3), noise=session(host, 2), map_host={host: "new.test"})
    assert (differences(result), result.noise, result.same) == ([], 1, True)
    result = compare(session(host, 1), session("new.test", 1), noise=session(host, 1), map_host={host: "new.test"})
    assert (differences(result), result.noise, result.same) == ([], 0, True)


def test_a_baseline_accepts_its_fingerprints(make: Any, compare: Compare, differences: Differences) -> None:
    a = [make.exchange(url=f"http://x.test/u/{number}", body={"n": 1}) for number in range(3)]
    b = [make.exchange(url=f"http://x.test/u/{number}", body={"n": 2}) for number in range(2)]
    first = compare(a, b)
    known = [one.fingerprint for one in (*first.differences, *first.only_a)]
    assert len(known) == 3  # equal differences have the same fingerprint
    accepted = compare(a, b, baseline=[*known, "gone"])
    assert (accepted.same, accepted.accepted, accepted.gone) == (True, 4, 1)
    other = [make.exchange(url=f"http://x.test/u/{number}", body={"n": 3}) for number in range(2)]
    assert differences(compare(a, other, baseline=known)) == [("value", "changed", "response.json:$.n")]


def test_fingerprints_without_volatile_values(make: Any, compare: Compare) -> None:
    def fingerprint(port: int, uuid: str, index: int) -> str:
        url = f"http://127.0.0.1:{port}/u/{uuid}"
        a = [make.exchange(url=url, body={"list": [0] * 9})]
        b = [make.exchange(url=url, body={"list": [uuid if place == index else 0 for place in range(9)]})]
        listen = {"listen": {"host": "127.0.0.1", "port": port}}
        (difference,) = compare(a, b, header_a=listen, header_b=listen).differences
        return difference.fingerprint

    one = fingerprint(4000, "550e8400-e29b-41d4-a716-446655440000", 2)
    assert one == fingerprint(5000, "650e8400-e29b-41d4-a716-446655440000", 3)


def test_equal_differences_are_reported_once(make: Any, compare: Compare) -> None:
    a = [make.exchange(url=f"http://x.test/u/{number}", body={"n": 1}) for number in range(9)]
    b = [make.exchange(url=f"http://x.test/u/{number}", body={"n": 2}) for number in range(9)]
    result = compare(a, b)
    assert [difference.occurrences for difference in result.differences] == [9]
    assert result.by_severity == {Severity.changed: 9}


def test_one_path_takes_a_bounded_room(make: Any, compare: Compare) -> None:
    a = [make.exchange(url=f"http://x.test/u/{number}", body={"n": "x"}) for number in range(60)]
    b = [make.exchange(url=f"http://x.test/u/{number}", body={"n": f"y{number}"}) for number in range(60)]
    result = compare(a, b)
    assert (len(result.differences), result.omitted, result.total) == (1, 0, 60)
    assert (result.differences[0].occurrences, result.differences[0].values) == (60, 60)


def test_long_values_are_cut() -> None:
    assert shortened("x" * 1000) == f"{'x' * MOST_TEXT}… (1000 characters)"
    assert shortened([1] * 1000).startswith("[1, 1, ")
    assert [shortened(value) for value in (ABSENT, None, True, 7, "x")] == [ABSENT, None, True, 7, "x"]


def test_paths_for_all_items() -> None:
    assert general_path('response.json:$.a[?@.id=="x]"].b[3]') == "response.json:$.a[*].b[*]"
    assert general_path("response.text (line 12)") == "response.text"


def test_a_json_report_is_a_baseline(tmp_path: Path, make: Any, compare: Compare) -> None:
    result = compare([make.exchange(body={"n": 1}), make.exchange("PUT")], [make.exchange(body={"n": 2})])
    path = tmp_path / "baseline.json"
    path.write_text(report_json(result), encoding="utf-8")
    assert read_baseline(str(path)) == {one.fingerprint for one in (*result.differences, *result.only_a)}


def test_a_baseline_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"accepted": ["a", {"fingerprint": "b", "reason": "known"}]}), encoding="utf-8")
    assert read_baseline(str(path)) == {"a", "b"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"accepted": 7}', '{"accepted": [7]}', '{"differences": [{}]}', "[" * 100_000]
)
def test_invalid_baselines(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BaselineError):
        read_baseline(str(path))


def test_a_missing_baseline(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="No such file"):
        read_baseline(str(tmp_path / "none.json"))


def test_a_session_that_was_cut_off_is_reported(write: Any, make: Any) -> None:
    from mockrec.formats.diff.collect import Filters
    from mockrec.formats.diff.comparison import compare_sessions
    from mockrec.formats.diff.model.options import DiffOptions

    result = compare_sessions(write([make.exchange()]), write([make.exchange()], ended=False), DiffOptions(), Filters())
    assert result.same
    assert result.notes == ["B: the session was cut off: it has no session-ended record at its end"]


def test_of_long_values_that_begin_alike_the_place_where_they_differ_is_kept() -> None:
    same = "x" * 10_000
    assert shortened_pair(f"{same}a", f"{same}b") == tuple(
        f"…{'x' * 100}{last} (from character 9901 of 10001)" for last in "ab"
    )
    long = f"…{'x' * 100}a{'y' * 399}… (from character 9901 of 20001)"
    assert shortened_pair(f"{same}a{'y' * 10_000}", f"{same}b")[0] == long
    assert shortened_pair(f"a{same}", f"b{same}") == (shortened(f"a{same}"), shortened(f"b{same}"))
    assert shortened_pair(same, "b") == (shortened(same), "b")
    assert shortened_pair(same, ABSENT) == (shortened(same), ABSENT)
