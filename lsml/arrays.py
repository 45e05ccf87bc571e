"""Names for numpy's arrays in annotations. numpy itself is imported inside methods, as `lsml validate` starts without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix

    Array = np.ndarray[Any, Any]  # of any shape and number type; a comment or a docstring says which
    Rows = Array | csr_matrix  # (elements, features), dense or sparse
