"""The rule language: every key of a rule file, declared once for the loader, the JSON Schema and the reference."""
