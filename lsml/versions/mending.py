"""Files of versions that the artifact store lost: a machine that has a copy gives them back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Final

from lsml.errors import LsmlError
from lsml.recipe import Recipe
from lsml.store import Store
from lsml.versions.card import card_of
from lsml.versions.loading import check_files

_EVERY_S: Final = 30.0  # a listing of the whole store
_log = logging.getLogger(__name__)


def mend(store: Store) -> list[str]:
    """Give back to the artifact store what it lost of versions that this machine has a sound copy of. Return their folders.

    What cannot be given back is logged, and the next one tried. Raises StoreError, and OSError where the service cannot be
    asked.
    """
    mended = []
    for folder in store.artifacts.lost(store.versions.folders()):
        row = store.versions.of_folder(folder)
        if row is None:
            continue  # it was deleted meanwhile
        try:
            check_files(store.artifacts.open(folder), card_of(row))
            store.artifacts.share(folder)
        except (LsmlError, OSError) as error:
            _log.warning("v%d of project %s: the artifact store lost files of it: %s", row.number, row.project, error)
            continue
        if store.versions.of_folder(folder) is None:
            store.artifacts.delete(folder)
            continue
        _log.warning("v%d of project %s: gave the artifact store the files that it had lost", row.number, row.project)
        mended.append(folder)
    return mended


def mend_shared(recipes: Sequence[Recipe], stores: Sequence[Store]) -> None:
    """Mend the shared artifact stores of recipes now and then, in a thread of its own, as long as this process lives."""
    shared = [store for recipe, store in zip(recipes, stores, strict=True) if recipe.storage.artifacts is not None]

    def loop() -> None:
        pause = threading.Event()
        while not pause.wait(_EVERY_S):
            for store in shared:
                try:
                    mend(store)
                except (LsmlError, OSError) as error:
                    _log.warning("lost files cannot be looked for: %s; trying again", error)

    if shared:
        threading.Thread(target=loop, name="mender", daemon=True).start()
