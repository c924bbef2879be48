"""Sessions as Parquet: a file, a data set in a folder or an object store, and their journal while they are recorded.

* **row**: a record decoded into the fields of the tables (`row_reader.py`)
* **columns**: rows as an Arrow table (`columns.py`), and back to lines (`lines.py`)
* **journal**: the JSON Lines of a recording until its Parquet file is complete (`journal.py`)

Modules here import pyarrow, except those that a recording imports: `journal.py`, `paths.py`.
"""
