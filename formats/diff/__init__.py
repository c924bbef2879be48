"""Compare two recorded sessions, A and B: pairing, comparison, reports. Pure: files in, a result out.

* **digest**: the summary of an exchange that stays in memory while both sessions are read (`model`, `digest.py`)
* **spool**: a file with the contents of exchanges, each different content once (`spool.py`)
* **pair**: an exchange of A and the exchange of B with which it is compared (`compare/pairing.py`)
* **finding**: one difference of a pair, before any filter (`model`)
* **difference**: a finding that no ignore rule, noise or baseline has removed (`collect.py`)

`comparison.py` puts them together. No module here imports the engine or the command line.
"""
