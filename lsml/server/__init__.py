"""The server: Label Studio's ML backend protocol, and a page and an API for people and programs."""
