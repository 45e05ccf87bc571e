"""Adapters that read texts, dialogues and web pages."""
