"""The server: Label Studio's ML backend protocol, and a page and an API for people and programs."""

from lsml.server.app import create_app
from lsml.server.guard import open_to_others
from lsml.server.serve import serve

__all__ = ["create_app", "open_to_others", "serve"]
