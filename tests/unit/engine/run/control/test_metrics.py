"""The text for Prometheus."""

from __future__ import annotations

from mockrec.engine.run.control.metrics import Metrics


def test_the_text() -> None:
    counted = Metrics()
    for seconds, status in ((0.004, 200), (0.2, 503), (60.0, 200)):
        counted.add('a"b\\c', status, seconds, aborted=False, unmatched=status == 503, missed=False)
    counted.add("", 0, 0.001, aborted=True, unmatched=False, missed=True)
    text = counted.text(queue=7, connections=2, open_exchanges=1)
    lines = text.splitlines()
    assert text.endswith("\n")
    assert 'mockrec_exchanges_total{rule="a\\"b\\\\c",status_class="2xx"} 2' in lines
    assert 'mockrec_exchanges_total{rule="",status_class="abort"} 1' in lines
    assert 'mockrec_exchange_duration_seconds_bucket{le="0.005"} 2' in lines
    assert 'mockrec_exchange_duration_seconds_bucket{le="10.0"} 3' in lines
    assert 'mockrec_exchange_duration_seconds_bucket{le="+Inf"} 4' in lines
    assert "mockrec_exchange_duration_seconds_sum 60.205000" in lines
    assert [line for line in lines if line.startswith(("mockrec_missed", "mockrec_unmatched", "mockrec_errors"))] == [
        "mockrec_missed_total 1",
        "mockrec_unmatched_total 1",
        "mockrec_errors_total 1",
    ]


def test_rules_without_end_share_a_series() -> None:
    counted = Metrics()
    for number in range(5000):
        counted.add(f"rule-{number}", 200, 0.0, aborted=False, unmatched=False, missed=False)
    assert len(counted.exchanges) < 1100
    assert counted.total == 5000
