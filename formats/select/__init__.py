"""Selects exchanges or records from sessions of any format, as lines or as rows of fields."""
