"""Turns bytes into exchanges, answers them by rule, and says what happened.

The words, from the socket to the log:

* **pipe**: two byte directions (a TCP socket, later the plain side of TLS or the inside of a tunnel)
* **codec**: bytes ⇄ parts on one pipe, without I/O
* **part**: what one side said: `Request`, `Interim`, `Response`, `Data`, `End`, `Abort`
* **exchange**: one request and what answers it, with its rule, bodies, timing and tags
* **rule**: matchers + steps + how often; a rule set chooses one rule for an exchange
* **step**: one thing a chosen rule does
* **event**: one record of the log, and nothing else
"""
