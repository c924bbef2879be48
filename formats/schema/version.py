"""The version of the installed distribution, for `--version` and for the first record of a session."""

from __future__ import annotations

import os
import sys

_START, _END = "mockrec-", ".dist-info"


def mockrec_version() -> str:
    """For example `0.1.0`; `0+unknown` if mockrec runs without being installed."""
    # The name of the folder of an installed distribution ends with its version (PEP 491, file name convention). To ask
    # importlib.metadata takes as long as a third of `mockrec --help`: it imports `email` and parses the metadata.
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:  # no folder, but an archive or something that does not exist
            continue
        for name in names:
            if name.startswith(_START) and name.endswith(_END):
                return name[len(_START) : -len(_END)]
    from importlib import metadata

    try:
        return metadata.version("mockrec")
    except metadata.PackageNotFoundError:
        return "0+unknown"
