"""The same work on each block of a large session, by several processes: Python's threads share one core.

`program.py` is what runs there, `slots.py` is the memory that is shared with it, `pool.py` has the processes, and
`blocks.py` gives them blocks and keeps the order. A session is small until the work on it has taken longer than a
process takes to start, unless its file is large. What a process cannot do, or does not do because it was killed, is
done by the caller's own process, so results and errors are the same with and without workers.
"""
