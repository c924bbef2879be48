"""`replay --to --as json`: one object about what was sent, or a line for each request of a dry run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mockrec.cli import printing
from mockrec.formats.files.jsonl import encode_lines

if TYPE_CHECKING:
    from mockrec.engine.replay.send.send import ReplayRun
    from mockrec.engine.replay.send.survey import SurveyedRequest
    from mockrec.engine.replay.session.requests import RecordedRequest


def request_line(call: RecordedRequest, judged: SurveyedRequest) -> str:
    """Return a request of a dry run: method, url, why it is not sent, and the values of answers that go into it."""
    chained = list(dict.fromkeys(link.text for link in judged.links))
    line = {
        "id": call.record.get("id"),
        "method": judged.draft.method,
        "url": call.record.get("url") or judged.draft.target,
        "sent": not judged.reason,
        **({"reason": judged.reason} if judged.reason else {}),
        **({"chained": chained} if chained and not judged.reason else {}),
    }
    return _json(line)


def summary_line(replay: ReplayRun, temporary: Sequence[str]) -> str:
    """Return what was sent, what failed and what was left out, and how well the pace was kept. Durations are
    milliseconds; `temporary`: outputs that are removed."""
    progress, settings, chained = replay.progress, replay.settings, replay.chained
    fidelity = progress.fidelity
    found: dict[str, Any] = {
        "sent": progress.sent,
        "failed": progress.failed,
        "skipped": progress.skipped,
        "failures": dict(progress.failures),
        "rate": round(fidelity.achieved, 3) if fidelity.achieved else None,
        "pace": str(settings.pace),
        "chained": dict(chained.done),
        "chainedMissing": dict(chained.missing),
        "outputs": [path for path in settings.outputs if path != "-" and path not in temporary],
    }
    if settings.pace.is_timed:
        found["late"] = {"p50": round(fidelity.drift(0.5), 3), "p99": round(fidelity.drift(0.99), 3)}
    return _json(found)


def _json(value: dict[str, Any]) -> str:
    return printing.escape_json(encode_lines([value]).decode().rstrip("\n"))
