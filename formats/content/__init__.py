"""Content codings (RFC 9110, 8.4)."""
