"""The cassettes of all `replay` steps of a run. Each step reads its session once, when the rules are compiled."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from mockrec.engine import clock
from mockrec.engine.errors import ConfigError
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.rules.model import Passthrough, Replay
from mockrec.engine.steps.passthrough import passthrough_handler
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.spec import CompileContext
from mockrec.formats.schema.errors import SessionError

if TYPE_CHECKING:
    from mockrec.engine.replay.serve.cassette import Cassette
    from mockrec.engine.replay.session.fingerprint import MatchOptions
    from mockrec.engine.replay.session.only import ExchangeFilter


def _nowhere(host: str, port: int) -> bool:
    """No host and port are this recorder's: it does not listen."""
    return False


class Replays:
    """The cassettes of one loaded set of rules."""

    def __init__(
        self,
        limits: SocketSettings,
        *,
        is_local: Callable[[str, int], bool] = _nowhere,
        keeps_exchanges: bool = True,
        may_be_new: bool = False,
    ) -> None:
        """`is_local`: whether a host and a port are this recorder's, so that a client of its proxy means the recorder
        itself. `keeps_exchanges`: what comes back from servers is kept until the run ends, so that it can become part
        of a cassette. `may_be_new`: a session that is not there has no recordings, instead of being an error."""
        self.cassettes: list[Cassette] = []
        self.recorded: list[Cassette] = []
        """Those of steps with `onMiss: record`."""
        self._limits = limits
        self._is_local = is_local
        self._keeps_exchanges = keeps_exchanges
        self._may_be_new = may_be_new

    def act(self, step: Replay, context: CompileContext | None = None) -> StepHandler:
        """Return the handler of a `replay` step; without a `context`, requests without a recording are not passed on.
        Raises ConfigError for an unreadable session or an invalid option."""
        # Imported here: a run without such rules starts sooner without it.
        from mockrec.engine.replay.serve.latency import parse_latency
        from mockrec.engine.replay.serve.step import no_server, replay_handler
        from mockrec.engine.replay.session.fingerprint import MatchOptions
        from mockrec.engine.replay.session.selectors import parse_selector

        place = step.place
        where = f"{place.file}:{place.line}:{place.column}: {place.where}: " if place.where else ""
        if step.on_miss == "record" and not self._keeps_exchanges:
            raise ConfigError(f"{where}onMiss: record is new in the rules; start mockrec again to use it")
        try:
            match = MatchOptions(step.match, tuple(parse_selector(text) for text in step.ignore), step.strict_match)
            latency = parse_latency(step.latency)
            cassette = _cassette_of(step, match, may_be_new=self._may_be_new)
        except (ValueError, SessionError) as error:
            raise ConfigError(f"{where}{error}") from None
        self.cassettes.append(cassette)
        if step.on_miss == "fail" or context is None:
            return replay_handler(cassette, latency, self._limits, self._is_local)
        if step.on_miss == "record":
            self.recorded.append(cassette)
        pass_on = passthrough_handler(Passthrough(place), context, context.options, on_loop=no_server)
        return replay_handler(cassette, latency, self._limits, self._is_local, pass_on)

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


def _cassette_of(step: Replay, match: MatchOptions, *, may_be_new: bool) -> Cassette:
    """Read the session of a step. Raises SessionError, and ValueError for an invalid filter expression."""
    from mockrec.engine.replay.serve.cassette import Cassette
    from mockrec.engine.replay.session.only import EveryExchange, judge
    from mockrec.formats.query import parse

    path = step.session
    if step.on_miss == "record":
        from mockrec.formats.sessions.append import check_addable

        check_addable(path)
    if not os.path.exists(path) and (may_be_new or step.on_miss == "record"):
        return Cassette(path, match, repeat=step.repeat, is_new=True)
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        if step.on_miss == "record":
            return Cassette(path, match, repeat=step.repeat, is_new=True)
        raise SessionError(path, "the file is empty: that is no recording, not even one without exchanges")
    oldest = 0.0 if step.max_age is None else clock.wall(clock.now()) / 1000 - step.max_age
    refresh: ExchangeFilter | EveryExchange | None = None
    if step.refresh is not None:
        refresh = judge(path, parse(step.refresh)) if step.refresh else EveryExchange()
    return Cassette(path, match, repeat=step.repeat, oldest=oldest, refresh=refresh)
