"""Options that several commands share, and the parsers of durations, sizes, ports, URLs and file modes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mockrec.cli import printing
from mockrec.formats.text.quantities import age_of, bytes_of, seconds_of


class Invocation:
    """The parts of the command line that are not options."""

    def __init__(self) -> None:
        self.command: list[str] | None = None
        """The arguments after the first `--`; None without one."""
        self.from_file: set[str] = set()
        """The parameters whose value is that of the configuration file, which is weaker than the rule file."""
        self.arguments: Sequence[str] = ()
        """The arguments before it, without the name of the sub-command."""


invocation = Invocation()
"""Set by `main` before a command runs."""


class OutputShape(StrEnum):
    """`--as` of commands that print a session's content."""

    text = "text"
    json = "json"


def duration(value: str | float) -> float:
    """Return the seconds of `100ms`, `2s`, `1.5m`, `1h`. For `typer.Option(parser=duration)`; a default is seconds."""
    if isinstance(value, (int, float)):
        return float(value)
    try:
        return seconds_of(value.strip())
    except ValueError:
        raise typer.BadParameter(f"expected a duration such as 100ms, 2s or 1m, got {value!r}") from None


def age(value: str | float) -> float:
    """Return the seconds of `12h`, `30d`, `2w`. For `typer.Option(parser=age)`; a default is seconds."""
    if isinstance(value, (int, float)):
        return float(value)
    try:
        return age_of(value.strip())
    except ValueError:
        raise typer.BadParameter(f"expected an age such as 12h, 30d or 2w, got {value!r}") from None


def size(value: str | int) -> int:
    """Return the bytes of `64KiB`, `10MB`, `512`. For `typer.Option(parser=size)`; a default is bytes."""
    if isinstance(value, int):
        return value
    try:
        return bytes_of(value.strip())
    except ValueError:
        raise typer.BadParameter(f"expected a size such as 64KiB or 10MB, got {value!r}") from None


def port(value: str) -> tuple[int, int]:
    """Return the first and the last port to try of `8000`, `0`, `8000-8100`. For `typer.Option(parser=port)`."""
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", value.strip())
    if match:
        first, last = int(match[1]), int(match[2] or match[1])
        if first <= last <= 65535 and (match[2] is None or first > 0):
            return first, last
    raise typer.BadParameter(f"expected a port, 0 for any free one, or a range such as 8000-8100, got {value!r}")


def server_url(value: str) -> tuple[str, str, int]:
    """Return protocol, host and port of `http://localhost:3000`. For `typer.Option(parser=server_url)`."""
    text = value.strip()
    match = re.fullmatch(r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::(\d{1,5}))?/?", text, re.IGNORECASE)
    if match is None or not 0 < int(match[3] or 1) < 65536:
        hint = "; a path, query or password cannot be given" if match is None and "://" in text else ""
        shown = re.sub(r"[^/]*@", "…@", value, count=1)  # the text before it may be a password
        raise typer.BadParameter(f"expected a server such as http://localhost:3000, got {shown!r}{hint}")
    protocol, name = (match[1] or "http").lower(), match[2].strip("[]").lower()
    if not name.isascii():
        from mockrec.formats.text.hostnames import to_ascii

        try:
            name = to_ascii(name)
        except ValueError:
            raise typer.BadParameter(f"{name!r} is no name that a host can have") from None
    return protocol, name, int(match[3] or (443 if protocol == "https" else 80))


def file_mode(value: str | int) -> int:
    """Return the mode of `0600`, `640`. For `typer.Option(parser=file_mode)`; a default is the mode itself."""
    if isinstance(value, int):
        return value
    if re.fullmatch(r"(?:0o?)?[0-7]{3}", value):
        return int(value.removeprefix("0o"), 8)
    raise typer.BadParameter(f"expected a file mode such as 0600 or 0640, got {value!r}")


def one_output_each(given: list[str] | None, *, keeps_scope: bool = False) -> tuple[str, ...]:
    """Return the outputs of `-o`; empty without it and for `none`. `keeps_scope`: see `output_name`."""
    given = given or []
    if given == ["none"]:
        return ()
    if "none" in given:
        raise typer.BadParameter("none cannot be given with other outputs", param_hint="-o")
    given = [output_name(path, keeps_scope=keeps_scope) for path in given]
    doubled = next((path for number, path in enumerate(given) if path in given[:number]), None)
    if doubled is not None:
        raise typer.BadParameter(f"{doubled} is given twice", param_hint="-o")
    return tuple(given)


def output_name(name: str, *, keeps_scope: bool = False) -> str:
    """Return the name of an output with values for its placeholders, and make the folders that these stand for.

    `keeps_scope`: `{scope}` stays, because the recorder has scopes of its own (`--control`). Raises `OutputError` for a
    placeholder without a value.
    """
    if "{" not in name and "}" not in name:  # as most names
        return name
    # Imported here: only placeholders need them.
    import os
    import time

    from mockrec.formats.parquet.paths import is_uri
    from mockrec.formats.sessions.output_names import filled, has_placeholders

    if not has_placeholders(name):
        return name
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    made = filled(name, os.environ, now, keeps=("scope",) if keeps_scope else ())
    if not is_uri(made) and not (keeps_scope and "{scope}" in made):
        try:
            Path(made).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            from mockrec.formats.schema.errors import OutputError

            raise OutputError(made, error.strerror or str(error)) from None
    return made


def refuse_inputs(outputs: Iterable[str], inputs: Iterable[str], option: str = "-o") -> None:
    """Refuse an output that is also an input: --force would have emptied it."""
    read = [path for path in map(Path, inputs) if path.exists()]
    for output in outputs:
        if output != "-" and Path(output).exists() and any(path.samefile(output) for path in read):
            raise typer.BadParameter("it is one of the sessions", param_hint=option)


def check_word(option: str, word: str | None, known: tuple[str, ...]) -> None:
    """Refuse a word that is not in the list."""
    if word is not None and word not in known:
        raise typer.BadParameter(f"expected {' or '.join(known)}, got {word!r}", param_hint=option)


def _set_quiet(value: bool) -> bool:
    printing.set_quiet(value)
    return value


def _set_verbose(value: bool) -> bool:
    printing.set_verbose(value)
    return value


Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_set_quiet, help="Say nothing on stderr but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", callback=_set_verbose, help="Say more on stderr.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an output file that exists.")]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--output",
        metavar="OUT",
        help="Where to write; the extension decides the format (.jsonl, .jsonl.gz, .jsonl.zst, .har, .parquet; "
        "a folder, as in session/, is a Parquet data set, as is s3://bucket/session/), - is stdout. "
        "{repo}, {branch}, {run}, {job}, {shard}, {commit}, {date}, {time}, {scope} and {worker} are filled in. "
        "May be given several times.",
    ),
]
FileMode = Annotated[
    int,
    typer.Option(
        "--file-mode",
        metavar="MODE",
        parser=file_mode,
        show_default="0600",
        help="Permissions of files that are written.",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="spark[=URL]",
        help="Let a cluster read the sessions: Apache Spark over Spark Connect (sc://host:15002, or SPARK_REMOTE).",
    ),
]
SessionPath = Annotated[
    str,
    typer.Argument(
        metavar="SESSION",
        help="A recorded session, a HAR, a VCR cassette or a mitmproxy flow file; - reads it from stdin.",
        show_default=False,
    ),
]
As = Annotated[
    OutputShape, typer.Option("--as", metavar="text|json", help="What is printed: text for people, or JSON Lines.")
]
Wide = Annotated[bool, typer.Option("--wide", help="Print ids and texts whole, however wide the terminal is.")]
NoPager = Annotated[bool, typer.Option("--no-pager", help="Print everything at once, without a pager.")]
EventTypes = Annotated[
    str | None,
    typer.Option("--events", metavar="TYPES", help="Which events: default, all, or types separated by commas."),
]
MaxBodySize = Annotated[
    Any,
    typer.Option(
        "--max-body-size", metavar="SIZE", parser=size, help="Bytes of a body that are kept.", show_default="10MiB"
    ),
]
TrustedCas = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust", metavar="FILE", help="A CA (PEM) that servers may be signed by. May be given several times."
    ),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Do not check the certificates of servers.")]
