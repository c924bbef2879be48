"""For all tests: nobody's own certificate authority is touched."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _authority_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The programs that tests start make their authority in a folder of the test run."""
    before = os.environ.get("MOCKREC_CA_DIR")
    os.environ["MOCKREC_CA_DIR"] = str(tmp_path_factory.mktemp("authority") / "ca")
    yield
    if before is None:
        del os.environ["MOCKREC_CA_DIR"]
    else:
        os.environ["MOCKREC_CA_DIR"] = before
