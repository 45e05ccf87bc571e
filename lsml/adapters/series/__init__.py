"""Adapters that read time series."""
