"""Checks of a recipe, its machine, its data and its Label Studio. Out: findings, each with what to do.

examine    all checks, in order
findings   one finding                       machine    Python, model libraries, memory
data       the data directory, the worker    server     the program at lsml's address
studio     Label Studio, the project, its model and webhook
"""
