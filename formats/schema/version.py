"""The version of the installed distribution, for `--version` and for the first record of a session."""

from __future__ import annotations


def mockrec_version() -> str:
    """For example `0.1.0`; `0+unknown` if mockrec runs without being installed."""
    # Imported here: this import takes longer than all others of `mockrec --help`.
    from importlib import metadata

    try:
        return metadata.version("mockrec")
    except metadata.PackageNotFoundError:
        return "0+unknown"
