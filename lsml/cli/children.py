"""What the processes that `lsml run` and `lsml work` start do for those who started them."""

from __future__ import annotations

import os
import threading


def die_with_parent() -> None:
    """End this process when the one that started it does: its end of our standard input closes with it."""

    def watch() -> None:
        # Read below Python's buffers: their lock would be held when the interpreter ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
