"""Control tags by name, each in a file of its own: how values become regions, and regions values."""

from __future__ import annotations

import importlib
import pkgutil

from lsml.controls.base import CONTROLS, Control

# A control is there once its file is in this folder: its class enters itself.
for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")

__all__ = ["CONTROLS", "Control"]
