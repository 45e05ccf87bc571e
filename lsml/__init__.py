"""lsml: a Label Studio ML backend from one YAML recipe.

The rooms in the order in which data flows; docs/architecture.md has the drawing:

    recipe/      YAML -> Recipe, every problem at once     labeling/    XML and tasks -> tags, and views of data
    adapters/    one model library each                    controls/    values <-> Label Studio regions
    values/      the values that both exchange             media/       a task's URL -> a local file
    binding/     recipe x labeling config -> Binding       prediction/  tasks -> predictions
    store/       durable state                             learning/    annotations -> snapshot -> version
    versions/    models on disk, checked and loaded        metrics/     metrics by value type
    studio/      Label Studio's own API                    worker/      Huey wakes it, the run ledger decides
    server/      the ML backend protocol                   cli/         one file for each command
"""

__version__ = "0.1.0"
