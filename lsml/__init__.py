"""lsml: a Label Studio ML backend from one YAML recipe.

The code in the order in which data flows:

    recipe      YAML -> Recipe, every problem at once      labeling    XML -> control tags, object tags, labels
    adapters/   one model library each                     controls/   values <-> Label Studio regions
    values      what both exchange                         shown       what an object tag shows in a task
    binding     recipe x labeling config -> Binding        objects     a task's data -> what an adapter sees
    prediction  tasks -> predictions                       store/      what is durable
    snapshot    annotations -> lessons on disk             training    lessons -> version
    versions    models on disk, checked and swapped        metrics     how good, by value type
    jobs        the worker: Huey wakes it, the ledger rules
    studio      Label Studio's own API                     media       what a task's URL names
    server/     the ML backend protocol                    cli/        one file for each verb
"""

__version__ = "0.1.0"
