"""The import names that docs/ shows to programs, notebooks and handlers: they stay where they are."""

from __future__ import annotations

import importlib

import pytest

PUBLIC = {
    "mockrec.formats": ("frame", "read"),
    "mockrec.formats.body": ("Body",),
    "mockrec.formats.errors": ("FormatError", "RecordError", "SessionError", "OutputError", "OutputExistsError"),
    "mockrec.formats.events": (
        "DEFAULT_EVENTS", "EVENT_CLASSES", "EVENT_TYPES", "FIRST_TYPES", "SCHEMA_VERSION", "TERMINAL_TYPES",
        "Body", "Event", "Request", "Response", "WebSocketMessageReceived", "check_record", "parse_event", "to_record",
    ),
    "mockrec.formats.query": ("FilterError", "parse"),
    "mockrec.formats.session": ("Line", "Reading", "Session", "open_session"),
}  # fmt: skip


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_exports_its_names(module: str) -> None:
    public = importlib.import_module(module)
    assert set(PUBLIC[module]) <= set(public.__all__)
    assert all(hasattr(public, name) for name in public.__all__)
