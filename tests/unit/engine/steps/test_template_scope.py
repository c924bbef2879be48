"""The names that templates can use besides the request."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from mockrec.engine.rules.model import SourceLocation
from mockrec.engine.rules.templates.template import compile_template
from mockrec.engine.steps.template_scope import template_context

PLACE = SourceLocation("rules.yaml", 1, 1, "")


def render(stage: Any, text: str, rule: Any = None, seed: int = 1) -> str:
    return compile_template(text, PLACE).render(template_context(stage.exchange(rule=rule), random.Random(seed)))


def test_now_is_the_time_in_utc(stage: Any) -> None:
    before = datetime.now(UTC)
    text = render(stage, "{{ now }}")
    assert len(text) == len("2026-01-02T03:04:05.678Z")
    assert text.endswith("Z")
    assert before - timedelta(seconds=2) < datetime.fromisoformat(text) < datetime.now(UTC) + timedelta(seconds=2)


def test_now_can_be_called_and_formatted(stage: Any) -> None:
    text = render(stage, "{{ now() }}|{{ now.year }}|{{ now.strftime('%Y') }}")
    first, year, formatted = text.split("|")
    assert first[:4] == year == formatted


def test_uuid_is_another_one_each_time(stage: Any) -> None:
    texts = render(stage, "{{ uuid }} {{ uuid }} {{ uuid() }}").split()
    assert len(set(texts)) == 3
    assert {uuid.UUID(text).version for text in texts} == {4}
    assert all(str(uuid.UUID(text)) == text for text in texts)


def test_random_is_a_number_below_one_or_a_throw_of_dice(stage: Any) -> None:
    numbers = [float(render(stage, "{{ random }}", seed=seed)) for seed in range(50)]
    assert all(0 <= number < 1 for number in numbers)
    assert len(set(numbers)) == 50
    throws = {render(stage, "{{ random(1, 6) }}", seed=seed) for seed in range(200)}
    assert throws == {"1", "2", "3", "4", "5", "6"}
    assert {render(stage, "{{ random(2) }}", seed=seed) for seed in range(100)} == {"0", "1", "2"}


def test_the_same_dice_give_the_same_text(stage: Any) -> None:
    text = "{{ random }} {{ uuid }} {{ random(1000) }}"
    assert render(stage, text, seed=5) == render(stage, text, seed=5) != render(stage, text, seed=6)


def test_count_is_how_often_the_rule_was_used(stage: Any, compiled: Any) -> None:
    rule = compiled("then: close")
    rule.used = 3
    assert render(stage, "{{ count }}", rule) == "3"
    assert render(stage, "{{ count }}") == "0"


def test_the_request_is_the_exchanges(stage: Any) -> None:
    assert render(stage, "{{ request.method }} {{ request.path }} {{ request.host }}") == "GET / example.test"
