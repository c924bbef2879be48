"""Exchanges: one request and what answers it, and the words in which the log tells of it."""
