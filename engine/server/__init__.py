"""Sockets and tasks. Knows no rule and no log format."""
