"""Public name of `mockrec.formats.schema.body`: the body of a record, decoded."""

from mockrec.formats.schema.body import Body

__all__ = ["Body"]
