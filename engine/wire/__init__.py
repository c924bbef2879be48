"""Bytes ⇄ parts, one file a protocol. Pure: no I/O, no clock, no rule, no log."""
