"""Refuses settings that would make the recorder an open proxy: one that any host of the network can use."""

from __future__ import annotations

from collections.abc import Iterable

from mockrec.engine.errors import ConfigError
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.rules.model import Passthrough, Replay, Rule, Step
from mockrec.engine.run.settings import RunSettings
from mockrec.engine.transport.local_addresses import is_loopback


def check_open_proxy(settings: RunSettings, loaded: Loaded) -> None:
    """Raise ConfigError if other machines could send requests through this one, unless the user allows that."""
    check_open_proxy_rules(settings, loaded.rule_file.rules)


def check_open_proxy_rules(settings: RunSettings, rules: Iterable[Rule]) -> None:
    """Raise ConfigError if these rules would do so."""
    server = settings.server
    if server.auth is not None or settings.is_open or is_loopback(server.host.strip("[]").lower()):
        return
    steps = [step for rule in rules for step in rule.steps]
    passes = settings.unmatched == "passthrough" or server.passthrough or settings.tls.passthrough
    if passes or settings.tls.intercept_only or any(map(_passes_on, steps)):
        raise ConfigError(
            f"anyone who reaches {server.host} could use this recorder as a proxy; give a password with server.auth"
            " (user:password), or say --open"
        )


def _passes_on(step: Step) -> bool:
    """Whether a step sends requests to the servers that clients name."""
    return type(step) is Passthrough or (isinstance(step, Replay) and step.on_miss != "fail")
