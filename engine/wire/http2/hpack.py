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
from mockrec.engine.wire.http2.fields import Field, Fields, list_size

_TABLE_SIZE: Final = 4096
_CACHED_BLOCKS: Final = 64
_CACHED_BLOCK_SIZE: Final = 4096
"""Bytes of a block that is kept, and of its fields (RFC 7541, 4.1), which may be hundreds of times as many."""


class _Table(HeaderTable):
    """A dynamic table (RFC 7541, 2.3.2) that counts its changes: without any, equal bytes are equal fields."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        """Add an entry (RFC 7541, 4.4)."""
        self.changes += 1
        super().add(name, value)


class _ReceivedTable(_Table):
    """A dynamic table that notes what one block does to it."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[Field] = []
        """The entries that the block has added."""
        self.lookups = 0
        """How often an entry was looked up, the static ones not counted."""

    def add(self, name: bytes, value: bytes) -> None:
        """Add an entry (RFC 7541, 4.4)."""
        self.added.append((name, value))
        super().add(name, value)

    def get_by_index(self, index: int) -> Field:
        """Return an entry (RFC 7541, 2.3.3). Raises InvalidTableIndex."""
        if index > HeaderTable.STATIC_TABLE_LENGTH:
            self.lookups += 1
        return super().get_by_index(index)

    def add_all(self, entries: tuple[Field, ...], size: int) -> None:
        """Add entries of `size` bytes in all (RFC 7541, 4.1), with the same result as one by one.

        An entry is evicted if it is larger than the table together with all later ones, however many are added at once;
        so is one that is larger than the table by itself (RFC 7541, 4.4).
        """
        self.changes += 1
        self.dynamic_entries.extendleft(entries)
        self._current_size += size
        self._shrink()

    def _shrink(self) -> None:
        size, most, entries = self._current_size, self._maxsize, self.dynamic_entries
        while size > most:
            name, value = entries.pop()
            size -= 32 + len(name) + len(value)
        self._current_size = size


class FieldDecoder(Decoder):
    """Keeps the fields of the last block in `fields`; h2 sees `shown` of them if the first is `:status`.

    RFC 7541, 3.2. Equal blocks are decoded once: those that use entries of the dynamic table until it changes, the
    others for good, because a server such as nginx adds its fields to the table each time, and never uses them.
    """

    def __init__(self, limit: int, shown: int) -> None:
        super().__init__(limit)
        self.header_table = self._table = _ReceivedTable()
        self.fields: Fields = ()
        self.repeats = False
        """Whether the next block was decoded already, and `fields` has its fields: h2 is shown it afterwards."""
        self._shown = shown
        self._blocks: dict[bytes, Fields] = {}
        self._independent: dict[bytes, tuple[Fields, tuple[Field, ...], int]] = {}
        """Block → its fields, and the entries that it adds to the table, with their size."""

    def decode(self, data: bytes, raw: bool = False) -> Any:
        """Decode a field block (RFC 7541, 3.2); return what h2 is shown of it."""
        if self.repeats:
            self.repeats = False
        else:
            self.fields = self._fields(data)
        known = self.fields
        return known[: self._shown] if known and known[0][0] == b":status" else ()

    def _fields(self, data: bytes) -> Fields:
        known = self._blocks.get(data)
        if known is not None:
            return known
        independent = self._independent.get(data)
        if independent is None:
            return self._decode(data)
        fields, entries, size = independent
        if entries:
            self._blocks.clear()
            self._table.add_all(entries, size)
        return fields

    def _decode(self, data: bytes) -> Fields:
        table = self._table
        changes, lookups = table.changes, table.lookups
        table.added = []
        try:
            fields = tuple(super().decode(data, raw=True))
        except OversizedHeaderListError as error:
            raise DenialOfServiceError(str(error)) from error
        except Exception as error:  # the state of the table is unknown: a connection error (RFC 9113, 4.3)
            broken = ProtocolError(f"The header block cannot be decoded: {library_words(error)}")
            broken.error_code = ErrorCodes.COMPRESSION_ERROR
            raise broken from error
        is_kept = len(data) <= _CACHED_BLOCK_SIZE and list_size(fields) <= _CACHED_BLOCK_SIZE
        if b"\x20" <= data[:1] < b"\x40":  # it changes the size of the table (RFC 7541, 6.3)
            self._blocks.clear()
        elif table.lookups == lookups:
            if table.changes != changes:
                self._blocks.clear()
            if len(self._independent) >= _CACHED_BLOCKS:
                self._independent.clear()
            if is_kept:
                self._independent[data] = fields, tuple(table.added), list_size(tuple(table.added))
        elif table.changes != changes or len(self._blocks) >= _CACHED_BLOCKS:
            self._blocks.clear()
        elif is_kept:
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
