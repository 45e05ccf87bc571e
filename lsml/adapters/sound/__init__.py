"""Adapters for sound: they read sound files, and the sound of videos."""
