"""The user's functions (`python` steps and matchers, callbacks): how they are called, and what they can never do.

Theory. A function of the user's may raise anything, never return, block, or stop the event loop it runs in. So it never
runs in the loop that answers, nor in a thread that the end of the process waits for: a plain function gets a daemon
thread, `async` ones share an event loop in another (`threads.py`). What they raise, `CancelledError` and `SystemExit`
included, is caught there and becomes a `UserError` (`calls.py`), and so a `CancelledError` where we wait is always one
of ours. Who stops waiting leaves the function behind. `failure.py` says in words what went wrong, and where.
"""
