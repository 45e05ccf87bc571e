"""`python -m lsml`."""

from lsml.cli import main

if __name__ == "__main__":
    main()
