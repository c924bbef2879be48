"""Work that could take long, done by other processes with a limit of CPU time.

`helper.py` is what runs there, `pool.py` starts and replaces the processes. What a client, a server or a file says can
make such work take long; on the event loop everybody would wait for it, and in a thread too, where the work holds the
interpreter's lock: Python's `re`, JSONPath, parsing JSON and walking through it all do.
"""
