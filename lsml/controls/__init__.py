"""Control tags by name, each in a file of its own. In: values; out: regions, and the reverse."""

from __future__ import annotations

import importlib
import pkgutil

from lsml.controls.base import CONTROLS, Control, control_class, controls_of, suits

# A control exists once its file is in this folder, as its class registers itself.
for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")

__all__ = ["CONTROLS", "Control", "control_class", "controls_of", "suits"]
