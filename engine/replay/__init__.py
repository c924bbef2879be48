"""Recorded sessions at work again: sent to a server, served like one, or written as rules."""
