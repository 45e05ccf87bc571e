"""Adapters that listen: they read sound files, and the sound of videos."""
