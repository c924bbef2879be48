"""Header compression (RFC 7541) that keeps the fields from h2.

h2 ends the connection for a malformed field where RFC 9113 (8.1.1) asks for a stream error, and iterates over every
list of fields many times. So h2 is shown at most `:status`, and the fields stay here.
"""

from __future__ import annotations

from typing import Any, Final

from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, ProtocolError
from hpack.exceptions import OversizedHeaderListError
from hpack.hpack import Decoder, Encoder
from hpack.table import HeaderTable

from mockrec.engine.wire.fault_phrases import library_words
from mockrec.engine.wire.http2.fields import Fields

_TABLE_SIZE: Final = 4096
_CACHED_BLOCKS: Final = 64
_CACHED_BLOCK_SIZE: Final = 4096


class _Table(HeaderTable):
    """A dynamic table (RFC 7541, 2.3.2) that counts its changes: without any, equal bytes are equal fields."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        """Add an entry (RFC 7541, 4.4)."""
        self.changes += 1
        super().add(name, value)


class FieldDecoder(Decoder):
    """Keeps the fields of the last block in `fields`; h2 sees `shown` of them if the first is `:status`.

    RFC 7541, 3.2.
    """

    def __init__(self, limit: int, shown: int) -> None:
        super().__init__(limit)
        self.header_table = self._table = _Table()
        self.fields: Fields = ()
        self._shown = shown
        self._blocks: dict[bytes, Fields] = {}

    def decode(self, data: bytes, raw: bool = False) -> Any:
        """Decode a field block (RFC 7541, 3.2); return what h2 is shown of it."""
        known = self._blocks.get(data)
        if known is None:
            known = self._decode(data)
        self.fields = known
        return known[: self._shown] if known and known[0][0] == b":status" else ()

    def _decode(self, data: bytes) -> Fields:
        changes = self._table.changes
        try:
            fields = tuple(super().decode(data, raw=True))
        except OversizedHeaderListError as error:
            raise DenialOfServiceError(str(error)) from error
        except Exception as error:  # the state of the table is unknown: a connection error (RFC 9113, 4.3)
            broken = ProtocolError(f"The header block cannot be decoded: {library_words(error)}")
            broken.error_code = ErrorCodes.COMPRESSION_ERROR
            raise broken from error
        resizes = data[:1] >= b"\x20" and data[:1] < b"\x40"
        if self._table.changes != changes or resizes or len(self._blocks) >= _CACHED_BLOCKS:
            self._blocks.clear()
        elif len(data) <= _CACHED_BLOCK_SIZE:
            self._blocks[data] = fields
        return fields


class FieldEncoder(Encoder):
    """Encodes `fields` instead of what h2 passes (RFC 7541, 3.1)."""

    def __init__(self) -> None:
        super().__init__()
        self.header_table = self._table = _Table()
        self.fields: Fields = ()
        self._blocks: dict[Fields, bytes] = {}

    @property
    def header_table_size(self) -> int:
        """The maximum size of the dynamic table (RFC 7541, 4.2)."""
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        # A larger table, which the peer may allow, would take our memory, and is searched entry by entry.
        value = min(value, _TABLE_SIZE)
        if value != self.header_table.maxsize:
            self.header_table.maxsize = value
            # Only the smallest and the last size are signalled (RFC 7541, 4.2).
            smallest = min(self.table_size_changes, default=value)
            self.table_size_changes[:] = [value] if smallest >= value else [smallest, value]
            self._blocks.clear()

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        """Return the field block of `fields` (RFC 7541, 3.1)."""
        known = self._blocks.get(self.fields)
        if known is not None:
            return known
        self.header_table.resized = resized = bool(self.table_size_changes)
        changes = self._table.changes
        # Huffman coding in Python costs more time than the bytes it saves.
        block = super().encode(self.fields, huffman=False)
        if resized or self._table.changes != changes or len(self._blocks) >= _CACHED_BLOCKS:
            self._blocks.clear()
        else:
            self._blocks[self.fields] = block
        return block
