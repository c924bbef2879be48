"""The cassettes of all `replay` steps of a run. Each step reads its session once, when the rules are compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockrec.engine.errors import ConfigError
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.rules.model import Replay
from mockrec.engine.steps.plan import StepHandler
from mockrec.formats.schema.errors import SessionError

if TYPE_CHECKING:
    from mockrec.engine.replay.serve.cassette import Cassette


class Replays:
    """The cassettes of one loaded set of rules."""

    def __init__(self, limits: SocketSettings) -> None:
        self.cassettes: list[Cassette] = []
        self._limits = limits

    def act(self, step: Replay) -> StepHandler:
        """Return the handler of a `replay` step. Raises ConfigError for an unreadable session or an invalid option."""
        # Imported here: a run without such rules starts sooner without it.
        from mockrec.engine.replay.serve.cassette import Cassette
        from mockrec.engine.replay.serve.latency import parse_latency
        from mockrec.engine.replay.serve.step import replay_handler
        from mockrec.engine.replay.session.fingerprint import MatchOptions
        from mockrec.engine.replay.session.selectors import parse_selector

        place = step.place
        where = f"{place.file}:{place.line}:{place.column}: {place.where}: " if place.where else ""
        try:
            match = MatchOptions(step.match, tuple(parse_selector(text) for text in step.ignore), step.strict_match)
            latency = parse_latency(step.latency)
            cassette = Cassette(step.session, match, repeat=step.repeat)
        except (ValueError, SessionError) as error:
            raise ConfigError(f"{where}{error}") from None
        self.cassettes.append(cassette)
        return replay_handler(cassette, latency, self._limits)

    @property
    def missed(self) -> int:
        """Requests without a matching recording, and mismatched WebSocket messages."""
        return sum(cassette.missed for cassette in self.cassettes)

    def reset(self) -> None:
        """Begin again with every cassette."""
        for cassette in self.cassettes:
            cassette.reset()

    def close(self) -> None:
        """Keep each cassette's summary of unused recordings and delete its temporary files."""
        for cassette in self.cassettes:
            cassette.finish()
