"""HAR 1.2: sessions written as HAR files, live too, and HAR files read as sessions.

* **entry**: what a HAR says of one exchange (`entry.py`); names with `_` are ours or other tools' custom
* **implied record**: what an entry alone says of one record (`predicted.py`)
* **residual**: what a record says beyond that (`delta.py`); entry + residuals = the records, exactly
* **open exchange**: has not ended; its entry is provisional and holds its records whole
* **orphan**: a record of no exchange, which has no entry

Writing: lines → `assemble.py` → `entry.py` → `sink.py` → `atomic_file.py`. Reading: bytes → `split.py` → `reading.py`,
which returns our own records, or those that `imported.py` makes of another tool's entries,
→ `spool.py` → lines in order.
"""
