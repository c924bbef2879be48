"""Replay of recorded sessions: send them to a server, serve them as a server, or write them as rules."""
