"""The log on disk: the event schema, readers and writers, and what is computed from a recorded session.

* **record**: one line of the log as a plain dict with JSON names (camelCase)
* **event**: the same thing typed, as callbacks get it (`events.py`)
* **session**: one recording, read from its first record to its last (`session.py`)
* **sink**: where batches of whole lines go (`jsonl.py`)

Nothing here knows the engine, a protocol library or the command line.
"""
