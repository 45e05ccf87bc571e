"""Checks of a recipe, its machine, its data and its Label Studio. Out: findings, each with what to do.

findings   one finding                       machine    Python, model libraries, memory
data       the data directory, the worker    server     the program at lsml's address
studio     Label Studio, the project, its model and webhook
"""

from lsml.doctor.examine import Subject, examine
from lsml.doctor.findings import Finding

__all__ = ["Finding", "Subject", "examine"]
