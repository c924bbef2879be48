"""The table of protocols. A new one is a module with a `ProtocolSpec`, and its row here.

Everything else is derived: the log's `operation.protocol`, the names of the filter language, `show`, `stats`, the
pairing of `diff`, the search for recordings.
"""

from __future__ import annotations

from typing import Final

from mockrec.formats.operations.graphql import GRAPHQL
from mockrec.formats.operations.grpc.protocol import GRPC
from mockrec.formats.operations.jsonrpc import JSON_RPC, MCP
from mockrec.formats.operations.llm import LLM
from mockrec.formats.operations.soap import SOAP
from mockrec.formats.operations.spec import FactType, ProtocolSpec

PROTOCOLS: Final[tuple[ProtocolSpec, ...]] = (GRAPHQL, GRPC, MCP, JSON_RPC, LLM, SOAP)
"""In the order in which they are asked: MCP is JSON-RPC, so it is asked first."""
FACTS: Final[dict[str, FactType]] = {name: kind for row in PROTOCOLS for name, kind in row.facts.items()}
"""The names of the filter language, with their types."""
