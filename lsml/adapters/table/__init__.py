"""Adapters that read tables: the columns of a task, by name."""
