"""Stands where duckdb would be found: mockrec does not install it, so nothing may need it."""

raise ImportError("duckdb is not here")
