"""The version of the installed distribution, for `--version` and for the first record of a session."""

from __future__ import annotations


def mockrec_version() -> str:
    """For example `0.1.0`; `0+unknown` when run from a tree that is not installed."""
    # Imported here: it costs more than everything else `mockrec --help` needs.
    from importlib import metadata

    try:
        return metadata.version("mockrec")
    except metadata.PackageNotFoundError:
        return "0+unknown"
