"""Turns bytes into exchanges, answers them by rule, and records what happened.

The words, from the socket to the log:

* **byte stream**: bytes in two directions (a TCP connection, the plaintext side of TLS, the inside of a tunnel)
* **codec**: bytes ⇄ parts on one byte stream, without I/O
* **part**: a unit of one side of an exchange: `Request`, `Interim`, `Response`, `Data`, `End`, `Abort`
* **exchange**: one request and its response, with its rule, bodies, timing and tags
* **rule**: matchers, steps, and how often it applies; a rule set selects one rule for an exchange
* **step**: one action of a selected rule
* **event**: one record of the log
"""
