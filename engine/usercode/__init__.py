"""The user's functions (`python` steps and matchers, callbacks): how they are called, and what they can never break.

Theory. A function of the user's may raise anything, never return, block, or stop the event loop it runs in. So it never
runs in the event loop that serves clients, nor in a thread that the end of the process waits for: a plain function gets
a daemon thread, `async` functions share an event loop in another thread (`threads.py`). Whatever they raise,
`CancelledError` and `SystemExit` included, is caught there and becomes a `UserError` (`calls.py`). So a
`CancelledError` in the code that waits for a function always comes from a scope of ours. When we stop waiting, the
function is left behind. `failure.py` describes in words what went wrong, and where.
"""
