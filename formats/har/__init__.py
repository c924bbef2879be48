"""HAR 1.2: sessions written as HAR files, live too, and HAR files read as sessions.

* **entry**: what a HAR says of one exchange (`entry.py`); names with `_` are ours or other tools' custom
* **implied record**: what an entry alone says of one record (`implied.py`)
* **residual**: what a record says beyond that (`residual.py`); entry + residuals = the records, exactly
* **homeless record**: belongs to no exchange, so it has no entry

Writing: lines → `assemble.py` → `entry.py` → `sink.py` → `twins.py`. Reading: bytes → `split.py` → `reading.py`, which
gives back our own records or has `foreign.py` make some of another tool's entries, → `spool.py` → lines in order.
"""
