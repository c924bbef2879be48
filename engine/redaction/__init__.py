"""Redaction: secrets in records are replaced before anything is written, shown or handed to callbacks."""
