"""`replay --to`: sends the requests of a session to servers."""
