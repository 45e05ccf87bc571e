"""The worker: Huey wakes it, the run ledger in the store decides which run is next, and a child process trains."""
