"""Adapters that learn from whole videos and their parts."""
