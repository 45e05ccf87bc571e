"""`<Rating>`: `{"rating": 4}`, a whole number of stars. https://labelstud.io/tags/rating"""

from __future__ import annotations

from typing import ClassVar

from lsml.controls.number import Number, finite

STARS = 5  # the default where `maxRating` is missing or no whole number above 0


class Rating(Number):
    """A whole number from 0 to `maxRating`."""

    tag: ClassVar[str] = "Rating"
    key: ClassVar[str] = "rating"

    def _limits(self) -> tuple[float | None, float | None, float | None]:
        most = finite(self.control_tag.attributes.get("maxRating"))
        return 0.0, most if most is not None and most.is_integer() and most > 0 else float(STARS), 1.0

    def facts(self) -> dict[str, object]:
        """Return the number of stars."""
        return {"multiple": self.multiple, "max_rating": self.most}

    def _plausible(self, number: float) -> bool:
        """Return True if the tag has such a rating; older annotations may use a longer scale."""
        return self.fit(number) == number

    @property
    def _expected(self) -> str:
        return f"a whole number from 0 to {self.most:g}"
