"""The messages of workers, and what a worker does with a function that raises."""

from __future__ import annotations

import io

import pytest

from mockrec.formats.workers.program import LENGTH_BYTES, read_frame, write_frame


def _frame(data: bytes) -> bytes:
    pipe = io.BytesIO()
    write_frame(pipe, data)
    return pipe.getvalue()


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 3_000_000])
def test_frame_is_read_as_it_was_written(data: bytes) -> None:
    pipe = io.BytesIO(_frame(data) + _frame(b"next"))
    assert read_frame(pipe) == data
    assert read_frame(pipe) == b"next"
    assert read_frame(pipe) is None


@pytest.mark.parametrize("end", [1, LENGTH_BYTES, LENGTH_BYTES + 2])
def test_frame_that_is_cut_off_is_none(end: int) -> None:
    assert read_frame(io.BytesIO(_frame(b"block")[:end])) is None


def test_length_without_data_takes_no_memory() -> None:
    assert read_frame(io.BytesIO((2**62).to_bytes(LENGTH_BYTES))) is None
