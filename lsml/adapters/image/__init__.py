"""Adapters that read images and videos."""
