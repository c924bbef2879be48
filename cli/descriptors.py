"""The option `--protobuf`: descriptors that name the fields of gRPC messages."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mockrec.cli import printing

if TYPE_CHECKING:
    from mockrec.formats.operations.grpc.descriptors import Descriptors

Protobuf = Annotated[
    list[str] | None,
    typer.Option(
        "--protobuf",
        metavar="FILE",
        help="Descriptors that name the fields of gRPC messages: a .pb file, a .proto file or a folder of them. "
        "May be given several times.",
        show_default="those of the session",
    ),
]


def given_descriptors(paths: Sequence[str] | None) -> Descriptors | None:
    """Return the descriptors that the option names; None without the option. Raises `typer.BadParameter`."""
    if not paths:
        return None
    from mockrec.formats.operations.grpc.descriptors import DescriptorError, Descriptors
    from mockrec.formats.operations.grpc.protos import read_descriptors

    try:
        return Descriptors(read_descriptors(paths))
    except DescriptorError as error:
        raise typer.BadParameter(printing.escape(str(error)), param_hint="--protobuf") from None


def descriptors_text(descriptors: Descriptors | None) -> str | None:
    """Return descriptors as a session carries them (base64), which other processes can read; None for none."""
    return None if descriptors is None else base64.b64encode(descriptors.serialized).decode()
