"""See `formats/text/endpoints.py`, which is below the formats, so that tables can have a column of endpoints."""

from mockrec.formats.text.endpoints import former_template, template

__all__ = ["former_template", "template"]
