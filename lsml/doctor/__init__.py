"""What can be wrong with a recipe, its machine, its data and its Label Studio: findings, each with what to do.

findings   one finding                       machine    Python, model libraries, memory
data       the data directory, the worker    server     what listens where lsml is to listen
studio     Label Studio, the project, the model and the webhook that it has of lsml
"""

from lsml.doctor.examine import Subject, examine
from lsml.doctor.findings import Finding

__all__ = ["Finding", "Subject", "examine"]
