"""One thread computes, whatever was imported before."""

import subprocess
import sys

COUNTED = """
from lsml.adapters.parts.threads import one_thread
with one_thread():
    import sklearn.ensemble, threadpoolctl
    print({pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
"""


def test_the_libraries_that_a_fit_loads_later_have_one_thread_too():
    told = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True)
    assert told.stdout == "{1}\n"
