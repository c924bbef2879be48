"""Exchanges in progress: what steps act on. `Exchange` sends through a channel and calls the log."""
