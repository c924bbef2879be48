"""`--workers N`: processes that share one port and one session.

Theory. The parent owns everything that exists once: the rule file, the outputs, the numbers of records, the first
record and the last. It makes a listening socket for each worker, all on one port (SO_REUSEPORT), and keeps them open,
so that clients that connect while a worker is being replaced wait in the socket's queue instead of being refused. A
worker has a whole `Server` and a `Recorder`, whose lines go through a socket to the parent (`socket_sink.py`); the
parent numbers them and passes them to its own recorder (`merger.py`). A second socket carries messages in both
directions (`messages.py`).

Backpressure needs no messages: a parent that waits for its disk does not read, the worker's writer blocks, its queue
fills, and its traffic waits, as with a slow disk of its own.
"""
