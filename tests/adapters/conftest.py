"""Tiny models learn faster on one thread than on several that wait for each other, and to the same numbers everywhere."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
