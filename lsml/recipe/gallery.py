"""The recipes that come with lsml."""

from __future__ import annotations

from pathlib import Path

from lsml.errors import NotFound


def gallery_directory() -> Path:
    """Return the folder of the gallery: inside an installed package, else beside it in a checkout."""
    inside = Path(__file__).parents[1] / "recipes"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "recipes"


def gallery_recipes() -> dict[str, Path]:
    """Return every recipe of the gallery by name, sorted."""
    return {path.stem: path for path in sorted(gallery_directory().glob("*.yaml"), key=lambda path: path.stem)}


def find_recipe(name: str) -> Path:
    """Return the path of a recipe in the gallery. Raises NotFound, with the names of all."""
    from difflib import get_close_matches

    recipes = gallery_recipes()
    name = name.removesuffix(".yaml")
    if name not in recipes:
        near = get_close_matches(name, recipes, 1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        raise NotFound(f"the gallery has no recipe `{name}`; {hint}it has {', '.join(recipes)}")
    return recipes[name]
