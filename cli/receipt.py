"""The receipt of `replay --serve`: what a green run proves about the services that the recording stands for."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mockrec.cli import printing
from mockrec.engine.errors import ConfigError
from mockrec.engine.recording.ending import Ending
from mockrec.engine.rules.model import Replay
from mockrec.engine.run.run import Run
from mockrec.engine.run.settings import RunSettings

_PIECE = 1024 * 1024


@dataclass(slots=True)
class Receipt:
    """What a run has proved. The names of the fields, in camel case, are those of the JSON."""

    command: list[str] | None
    exit_code: int
    cassette: str
    sha256: str | None
    """The hash of the cassette's file as it was served; None if there was no file."""
    served: int
    """Requests that were answered by a recording."""
    unused: int
    """Recordings that were never requested."""
    missed: int
    """Requests without a recording."""
    expired: int
    """Requests whose recording was older than `maxAge`."""
    refreshed: int
    """Requests whose recording was made again (`--refresh`)."""
    added: int
    """Exchanges that were added to the cassette."""
    reached: list[str] = field(default_factory=list)
    """The servers to which mockrec made, or tried to make, connections, as `host:port`."""
    enforced: bool = False
    """Whether COMMAND had no other network than the recorder."""

    @property
    def reasons(self) -> list[str]:
        """Why the run was not isolated; empty if it was."""
        found = []
        if self.exit_code != 0:
            found.append(f"the exit code is {self.exit_code}")
        if self.missed:
            found.append(f"{printing.plural(self.missed, 'request')} had no recording")
        if self.expired:
            found.append(f"the recording of {printing.plural(self.expired, 'request')} had expired")
        if self.refreshed:
            found.append(f"the recording of {printing.plural(self.refreshed, 'request')} was made again")
        if self.reached:
            found.append(f"mockrec connected to {', '.join(self.reached[:5])}{' …' if len(self.reached) > 5 else ''}")
        if not self.served:
            found.append("no recording was served, so nothing was tested against the cassette")
        return found

    @property
    def sentence(self) -> str:
        """What the run proves, in words."""
        reasons = self.reasons
        if reasons:
            return f"Not isolated: {'; '.join(reasons)}."
        count = printing.plural(self.served, "request")
        text = f"Isolated: {count} answered from the recording, none missed, and no connection to any server."
        if self.enforced:
            return f"{text} The command had no other network."
        return f"{text} What went round the recorder cannot be seen."

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {
            "command": self.command,
            "exitCode": self.exit_code,
            "cassette": self.cassette,
            "sha256": self.sha256,
            "served": self.served,
            "unused": self.unused,
            "missed": self.missed,
            "expired": self.expired,
            "refreshed": self.refreshed,
            "added": self.added,
            "reached": self.reached,
            "isolated": not self.reasons,
            "enforced": self.enforced,
            "sentence": self.sentence,
        }


class ReceiptWriter:
    """Takes the hash of the cassette before the run, and writes the receipt after it."""

    def __init__(self, settings: RunSettings, path: Path | None, *, enforced: bool) -> None:
        """Remove the receipt of an earlier run. Raises ConfigError if it cannot be removed or written."""
        steps = [step for rule in settings.loaded.rule_file.rules for step in rule.steps if isinstance(step, Replay)]
        self._path = path
        self._enforced = enforced
        self._cassette = steps[0].session
        self._sha256 = _sha256_of(self._cassette)
        self._command = None if settings.command is None else list(settings.command)
        if path is None:
            return
        if not os.access(path.absolute().parent, os.W_OK):
            raise ConfigError(f"cannot write the receipt {path}: its folder is not there, or not writable")
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot replace the receipt {path}: {error.strerror or error}") from None

    def write(self, run: Run, ending: Ending) -> None:
        """Print the receipt, and write its file. Raises ConfigError."""
        cassettes = run.replays.cassettes
        receipt = Receipt(
            self._command,
            ending.exit_code,
            self._cassette,
            self._sha256,
            served=sum(one.served for one in cassettes),
            unused=sum(one.unused_names().total() for one in cassettes),
            missed=sum(one.missed for one in cassettes),
            expired=sum(one.expired.total() for one in cassettes),
            refreshed=sum(one.refreshed for one in cassettes),
            added=sum(one.added for one in cassettes),
            reached=run.reached,
            enforced=self._enforced,
        )
        figures = f"{receipt.served} served, {receipt.unused} unused, {receipt.missed} missed"
        printing.note(f"receipt: {figures}, {receipt.expired} expired. {printing.escape(receipt.sentence)}")
        if self._path is None:
            return
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            partial.write_text(json.dumps(receipt.to_json(), indent=2) + "\n", encoding="utf-8")
            os.replace(partial, self._path)
        except OSError as error:
            raise ConfigError(f"cannot write the receipt {self._path}: {error.strerror or error}") from None


def _sha256_of(path: str) -> str | None:
    """Return the hash of a file; None for a folder, a pipe, or a file that is not there."""
    if not os.path.isfile(path):
        return None
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    except OSError:
        return None
    return found.hexdigest()
