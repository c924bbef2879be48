"""The first and the last record of a session."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Protocol

from mockrec.engine import clock
from mockrec.engine.config import RecordSettings
from mockrec.engine.ids import new_id
from mockrec.engine.recording.envelope import Record, session_envelope
from mockrec.engine.rules.explain.explain import explain_rule
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import RuleFile
from mockrec.formats.operations.grpc.descriptors import stored
from mockrec.formats.schema.lifecycle import EVENT_TYPES, SCHEMA_VERSION
from mockrec.formats.schema.version import mockrec_version
from mockrec.formats.text.ci import service_of


class _Settings(Protocol):
    @property
    def loaded(self) -> Loaded: ...
    @property
    def record(self) -> RecordSettings: ...
    @property
    def command(self) -> tuple[str, ...] | None: ...


class Listening(Protocol):
    """The address at which clients reach the recorder."""

    @property
    def url(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class SessionEnding(Protocol):
    """Why a session ended."""

    @property
    def reason(self) -> str: ...
    @property
    def exit_code(self) -> int: ...


def session_started(
    settings: _Settings, listening: Listening | None, types: Collection[str], redaction: Record | None = None
) -> Record:
    """Return the first record. `listening` is None for a replay, which listens nowhere; `redaction` describes the
    redaction in force, None if there is none."""
    now = clock.now()
    rule_file = settings.loaded.rule_file
    record = session_envelope("session-started", now)
    record |= {
        "schemaVersion": SCHEMA_VERSION,
        "mockrecVersion": mockrec_version(),
        "sessionId": new_id(),
        "startTime": int(clock.wall(now)),
        "startTimestamp": now,
        **({"listen": {"url": listening.url, "host": listening.host, "port": listening.port}} if listening else {}),
        "rules": described_rules(rule_file),
        "rulesSha256": rule_file.sha256,
        "events": [name for name in EVENT_TYPES if name in types],
        "bodies": settings.record.bodies,
        "redaction": redaction or {"mode": "none"},
    }
    if settings.command is not None:
        record["command"] = list(settings.command)
    if (descriptors := stored(settings.record.protobuf)) is not None:
        record["protobuf"] = descriptors
    ci = _ci(os.environ)
    if ci:
        record["ci"] = ci
    return record


def rules_reloaded(rule_file: RuleFile) -> Record:
    """Return the record that the rules were replaced during the recording."""
    record = session_envelope("rules-reloaded", clock.now())
    return record | {"rules": described_rules(rule_file), "rulesSha256": rule_file.sha256}


def described_rules(rule_file: RuleFile) -> list[Record]:
    """Return id, line and description of each rule."""
    return [{"id": rule.id, "line": rule.place.line, "explanation": explain_rule(rule)} for rule in rule_file.rules]


def session_ended(
    ending: SessionEnding, counts: Counter[str], rules: RuleSet, truncated: int, redactions: int = 0
) -> Record:
    """Return the last record: why the session ended and what it contains. `truncated`: the number of truncated bodies;
    `redactions`: the number of replaced secrets."""
    return session_envelope("session-ended", clock.now()) | {
        "reason": ending.reason,
        "exitCode": ending.exit_code,
        "counts": {**counts, "session-ended": 1},
        "rules": [{"id": rule.rule.id, "used": rule.used, "pending": rule.pending} for rule in rules.rules],
        "truncatedBodies": truncated,
        "redactions": redactions,
    }


def _ci(env: Mapping[str, str]) -> Record:
    service = service_of(env)
    if service is None:
        return {}
    record: Record = {"provider": service.name}
    url = _run_url(service.name, env)
    if url:
        record["runUrl"] = url
    if env.get(service.commit):
        record["commit"] = env[service.commit]
    return record


def _run_url(name: str, env: Mapping[str, str]) -> str:
    if name == "github":
        parts = [env.get(key, "") for key in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
        return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""
    urls = {
        "gitlab": "CI_PIPELINE_URL",
        "circleci": "CIRCLE_BUILD_URL",
        "buildkite": "BUILDKITE_BUILD_URL",
        "jenkins": "BUILD_URL",
        "travis": "TRAVIS_BUILD_WEB_URL",
    }
    return env.get(urls.get(name, ""), "")
