"""The operations of protocols that put many calls behind one URL: names and facts, computed from recorded messages.

`table.py` has a row for each protocol, `readers.py` is what the rest of the program calls.
"""
