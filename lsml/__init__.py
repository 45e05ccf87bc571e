"""lsml: a Label Studio ML backend from one YAML recipe.

The rooms in the order in which data flows; docs/architecture.md has the drawing:

    recipe/      YAML -> Recipe, every problem at once     labeling/    XML and tasks -> tags, and what they show
    adapters/    one model library each                    controls/    values <-> Label Studio regions
    values/      what both exchange                        media/       what a task's URL names -> a local file
    binding/     recipe x labeling config -> Binding       prediction/  tasks -> predictions
    store/       what is durable                           learning/    annotations -> snapshot -> version
    versions/    models on disk, checked and loaded        metrics/     how good, by value type
    studio/      Label Studio's own API                    worker/      Huey wakes it, the run ledger decides
    server/      the ML backend protocol                   cli/         one file for each command
"""

__version__ = "0.1.0"
