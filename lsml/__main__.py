"""`python -m lsml`."""

import signal

_AT_CTRL_C = signal.getsignal(signal.SIGINT)
if _AT_CTRL_C is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules load, Ctrl-C ends it without a traceback

from lsml.cli import main  # noqa: E402 (see above)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, _AT_CTRL_C)
    main()
