"""What changed between two recorded sessions: pairing, comparison, reports. Pure: files in, a result out.

* **digest**: what is remembered of an exchange while both sessions are read (`model.py`, `digest.py`)
* **spool**: where the contents wait on disk, each different one once (`spool.py`)
* **pair**: an exchange of A and the one of B it is compared with (`pairing.py`)
* **finding**: one thing that differs in a pair, before anybody was asked whether it matters (`model.py`)
* **difference**: a finding that no rule, noise or baseline has taken away (`collect.py`)

`comparison.py` puts them together. Nothing here knows the engine or the command line.
"""
