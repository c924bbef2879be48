"""Fuzzing: `python tests/fuzz/run.py --target h1 --seconds 60`, or `--inputs 1000000`, or all targets without `--target`.

What fails is written to `tests/fuzz/corpus/<target>/`, which a normal test runs. With `--atheris` its coverage guides
the inputs, where it is installed (`pip install atheris`).
"""

import sys

from fuzz_run import main

if __name__ == "__main__":
    sys.exit(main())
