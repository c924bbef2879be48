"""`replay --to`: the requests of a session sent to servers."""
