"""The worker: Huey wakes it, the run ledger in the store decides what it trains, and a child process trains it."""
