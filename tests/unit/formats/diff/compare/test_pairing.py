"""Pairing of exchanges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockrec.formats.diff.compare.keys import host_of, split
from mockrec.formats.diff.model.finding import Severity
from mockrec.formats.diff.result import Result

Compare = Callable[..., Result]
Differences = Callable[[Result], list[tuple[str, str, str]]]


def test_replays_pair_by_their_tag(make: Any, compare: Compare) -> None:
    a = [make.exchange(url=f"http://old.test/{number}", identity=f"a{number}") for number in range(3)]
    b = [make.exchange(url=f"http://new.test/x{number}", tags=[f"replay-of:a{number}"]) for number in (2, 0, 1)]
    result = compare(a, b)
    assert (result.paired, result.same) == ({"replay": 3}, True)
    again = [make.exchange(url="http://newer.test/y", tags=[f"replay-of:a{number}"]) for number in range(3)]
    assert compare(b, again).paired == {"replay": 3}


def test_a_header_may_name_exchanges(make: Any, compare: Compare) -> None:
    a = [make.exchange(url=f"http://x.test/{n}", sent_headers={"x-case": f"case {n}"}) for n in "abc"]
    b = [make.exchange(url=f"http://x.test/new{n}", sent_headers={"x-case": f"case {n}"}) for n in "cba"]
    assert compare(a, b, pair_header="x-case").paired == {"header": 3}
    assert not compare(a, b).paired


def test_scopes_of_both_sessions_pair_within_themselves(make: Any, compare: Compare, differences: Differences) -> None:
    def of(scope: str, *bodies: Any) -> list[Any]:
        made = [make.exchange(body=body) for body in bodies]
        return [[{**record, "scope": scope} for record in records] for records in made]

    a = [*of("pays", {"n": 1}), *of("fails", {"n": "old"}), *of("was", {"n": 5})]
    b = [*of("fails", {"n": 1}), *of("is", {"n": 5}), *of("pays", {"n": 1})]
    result = compare(a, b)
    assert result.paired == {"exact": 3}  # two tests, and one that has another name now
    (found,) = result.differences
    assert (found.finding.a, found.finding.b) == ("old", 1)
    moved = compare([*of("pays", 1), *of("fails", 1, 2)], [*of("pays", 1, 2), *of("fails", 1)])
    assert (moved.paired, len(moved.only_a), len(moved.only_b)) == ({"exact": 2}, 1, 1)


def test_ids_in_paths_and_queries(make: Any, compare: Compare) -> None:
    uuid, other = "550e8400-e29b-41d4-a716-446655440000", "650e8400-e29b-41d4-a716-446655440000"
    a = [make.exchange(url=f"http://x.test/u/{uuid}/o?t={uuid}&p=1"), make.exchange(url="http://x.test/n/1")]
    b = [make.exchange(url="http://x.test/n/2"), make.exchange(url=f"http://x.test/u/{other}/o?p=1&t={other}")]
    assert compare(a, b).paired == {"normalised": 2}


def test_ignored_parameters(make: Any, compare: Compare) -> None:
    a, b = ([make.exchange(url=f"http://x.test/?cb={n}&p=1", body="same")] for n in ("zyx", "abc"))
    result = compare(a, b, ignore=["query:cb"])
    assert result.paired == {"normalised": 1}
    assert not result.unused_rules


def test_equal_requests_pair_by_response_in_any_order(make: Any, compare: Compare, differences: Differences) -> None:
    a = [make.exchange(body={"n": number}) for number in range(5)]
    assert differences(compare(a, a[::-1])) == []
    dropped = compare(a, [*a[:2], *a[3:]])
    assert differences(dropped) == [("count", "breaking", "calls")]
    assert [only.occurrences for only in dropped.only_a] == [1]


def test_the_rest_is_paired_by_likeness_above_a_floor(make: Any, compare: Compare, differences: Differences) -> None:
    a = [make.exchange("POST", f"http://x.test/s?q={q}&l=1", sent={"q": q}, body={"q": q}) for q in ("ab", "cd")]
    b = [make.exchange("POST", f"http://x.test/s?q={q}&l=1", sent={"q": q}, body={"q": q}) for q in ("cx", "ab", "yz")]
    result = compare(a, b)
    assert result.paired == {"exact": 1, "likeness": 1}
    assert sorted(differences(result)) == [("count", "changed", "calls"), ("value", "changed", "response.json:$.q")]
    strangers = compare(
        [make.exchange(url="http://x.test/?a=1", body={"a": 1})],
        [make.exchange("GET", url="http://x.test/?z=9", sent="body", status=500, body="no")],
    )
    assert not strangers.paired
    assert (len(strangers.only_a), len(strangers.only_b)) == (1, 1)
    assert differences(strangers) == []
    assert strangers.failed(Severity.breaking)


def test_never_across_methods(make: Any, compare: Compare) -> None:
    result = compare([make.exchange("GET")], [make.exchange("PUT")])
    assert not result.paired


def test_a_near_endpoint_is_named(make: Any, compare: Compare) -> None:
    a, b = [make.exchange(url="http://x.test/customers")], [make.exchange(url="http://x.test/customer")]
    result = compare(a, b)
    assert result.only_a[0].nearest == "GET x.test/customer"
    assert result.only_b[0].nearest == "GET x.test/customers"


def test_large_groups_take_windows(make: Any, compare: Compare) -> None:
    a = [make.exchange(url=f"http://x.test/s?q=a{number}x", body={"n": number}) for number in range(150)]
    b = [make.exchange(url=f"http://x.test/s?q=b{number}x", body={"n": number}) for number in range(150)]
    assert compare(a, b).paired == {"likeness": 150}


def test_urls() -> None:
    assert split("http://u:p@x.test:80/a?b=c#d") == ("x.test:80", "/a", "b=c")
    assert split("x.test:443") == ("", "x.test:443", "")
    assert host_of("http://x.test/a") == ("x.test", 13)
    assert host_of("*") == ("", 0)
