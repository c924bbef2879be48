"""The clock: texts of instants, and time that never runs backwards."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from mockrec.engine import clock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# In seconds: the epoch, a leap day, the ends of a year and of a day, a day and a month of one digit.
MOMENTS = [0, 951_782_400, 1_704_067_199, 1_709_164_799, 784_111_777, 4_102_444_800]


@pytest.fixture
def at_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Monotonic time begins at the epoch."""
    monkeypatch.setattr(clock, "_wall_minus_mono", 0.0)


def read(text: str) -> datetime:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    return datetime.fromisoformat(text)


def test_a_timestamp_is_the_wall_clocks() -> None:
    before = datetime.now(UTC)
    shown = read(clock.timestamp(clock.now()))
    assert abs(shown - before) < timedelta(seconds=5)


@pytest.mark.usefixtures("at_epoch")
@pytest.mark.parametrize("second", MOMENTS)
@pytest.mark.parametrize("micros", [0, 1, 999, 100_000, 999_999])
def test_a_timestamp_has_six_digits_whatever_they_are(second: int, micros: int) -> None:
    shown = read(clock.timestamp(second * 1000.0 + (micros + 0.5) / 1000))
    assert shown == EPOCH + timedelta(seconds=second, microseconds=micros)


@pytest.mark.usefixtures("at_epoch")
def test_a_timestamp_is_cut_not_rounded() -> None:
    assert clock.timestamp(1999.9999) == "1970-01-01T00:00:01.999999Z"
    assert clock.timestamp(2000.0) == "1970-01-01T00:00:02.000000Z"


@pytest.mark.usefixtures("at_epoch")
def test_timestamps_sort_like_the_times_they_stand_for() -> None:
    times = [number * 0.37 for number in range(20_000)]
    shown = [clock.timestamp(time) for time in times]
    assert shown == sorted(shown)
    assert len({text[:19] for text in shown}) == 8


@pytest.mark.usefixtures("at_epoch")
def test_an_earlier_time_is_right_after_a_later_one() -> None:
    assert [clock.timestamp(time)[14:] for time in (5000.0, 1000.0, 5000.0)] == [
        "00:05.000000Z",
        "00:01.000000Z",
        "00:05.000000Z",
    ]


def test_now_and_its_timestamps_never_run_backwards() -> None:
    times = [clock.now() for _ in range(20_000)]
    assert times == sorted(times)
    shown = [clock.timestamp(time) for time in times]
    assert shown == sorted(shown)


def test_the_wall_clock_advances_with_the_monotonic_one() -> None:
    assert clock.wall(1500.0) - clock.wall(1000.0) == 500.0
    assert abs(clock.wall(clock.now()) - datetime.now(UTC).timestamp() * 1000) < 5000


@pytest.mark.usefixtures("at_epoch")
@pytest.mark.parametrize("second", MOMENTS)
@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.999])
def test_an_http_date_is_the_one_of_mail(monkeypatch: pytest.MonkeyPatch, second: int, fraction: float) -> None:
    monkeypatch.setattr(clock, "_perf_counter_ns", lambda: int((second + fraction) * 1e9))
    expected = format_datetime(EPOCH + timedelta(seconds=second), usegmt=True)
    assert clock.http_date() == expected.encode()


@pytest.mark.usefixtures("at_epoch")
def test_an_http_date_is_one_object_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(clock, "_perf_counter_ns", lambda: int(now * 1e9))
    first = clock.http_date()
    now = 1000.9
    assert clock.http_date() is first
    now = 1001.0
    assert clock.http_date() != first


@pytest.mark.usefixtures("at_epoch")
def test_timestamps_of_another_second_do_not_spoil_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_perf_counter_ns", lambda: 1_000_000_000_000)
    first = clock.http_date()
    clock.timestamp(5_000_000.0)
    assert clock.http_date() == first


def test_an_http_date_is_now() -> None:
    shown = parsedate_to_datetime(clock.http_date().decode())
    assert abs(shown - datetime.now(UTC)) < timedelta(seconds=5)


def test_three_times_of_one_second_are_those_of_their_timestamps() -> None:
    begin = 1_700_000_000_000.0 - clock.anchor()
    for first, second, third in [
        (0.5, 0.5, 999.5),
        (100.25, 100.75, 101.0),
        (0.5, 1.0, 1000.5),
        (999.5, 1000.5, 1001.0),
    ]:
        times = [begin + first, begin + second, begin + third]
        found = clock.same_second(*times)
        if len({clock.timestamp(time)[:19] for time in times}) > 1:
            assert found is None
        else:
            assert found is not None
            encoded, *micros = found
            assert [f"{encoded.decode()}{one:06d}Z" for one in micros] == [clock.timestamp(time) for time in times]
    assert clock.same_second(begin + 0.5, begin + 1.5, begin + 2000.0) is None
