"""Work that could take long, done by helper processes within a limit of CPU time.

`helper.py` is what runs there, `pool.py` starts and replaces the processes. Bytes from a client, a server or a file can
make such work take long; on the event loop, every other connection would wait for it, and in a thread as well, if the
work holds the interpreter's lock: Python's `re`, JSONPath, parsing JSON and walking through it all do.
"""
