"""The generated pages on adapters and on the gallery: `python -m tests.support.readme` writes them from what the code says."""

from __future__ import annotations

from pathlib import Path

from lsml.adapters import builtin_adapters, get_adapter
from lsml.adapters.base import Adapter, TrainableAdapter
from lsml.binding import bind
from lsml.cli.adapters import answered_tags
from lsml.labeling import parse_labeling_config
from lsml.recipe import load_recipe
from lsml.recipe.gallery import gallery_recipes

DOCS = Path(__file__).parents[2] / "docs"
ADAPTERS = DOCS / "adapters.md"
BEGIN = "<!-- adapters: written by `python -m tests.support.readme`, checked by the tests -->"
END = "<!-- end of the adapters -->"

# Whose licence an adapter does not tell, for it asks nothing of those who serve it.
LICENCES = {
    "audio-classifier": "BSD-3-Clause (scikit-learn, soundfile), LGPL-2.1 (libsndfile)",
    "audio-regressor": "BSD-3-Clause (scikit-learn, soundfile), LGPL-2.1 (libsndfile)",
    "sound-events": "BSD-3-Clause (scikit-learn, soundfile), LGPL-2.1 (libsndfile)",
    "gliner": "Apache-2.0 (gliner, transformers), BSD-3-Clause (torch); weights have terms of their own",
    "grabcut": "Apache-2.0 (OpenCV)",
    "dates": "BSD-3-Clause (dateparser, scikit-learn)",
    "tracker": "Apache-2.0 (OpenCV)",
    "field-classifier": "BSD-3-Clause (scikit-learn)",
    "image-classifier": "BSD-3-Clause (scikit-learn, scikit-image), Apache-2.0 (OpenCV); weights have terms of their own",
    "image-regressor": "BSD-3-Clause (scikit-learn, scikit-image); weights have terms of their own",
    "ner": "Apache-2.0 (transformers), BSD-3-Clause (torch); weights have terms of their own",
    "ner-crf": "MIT (python-crfsuite)",
    "pairwise": "BSD-3-Clause (scikit-learn)",
    "segment-anything": "Apache-2.0 (transformers, OpenCV, the weights of SAM and SAM 2), BSD-3-Clause (torch); MobileSAM needs ultralytics: AGPL-3.0",
    "relations": "BSD-3-Clause (scikit-learn)",
    "seq2seq": "Apache-2.0 (transformers), BSD-3-Clause (torch); weights have terms of their own",
    "spacy": "MIT (spaCy); pipelines have terms of their own",
    "tabular": "BSD-3-Clause (scikit-learn)",
    "text-classifier": "BSD-3-Clause (scikit-learn)",
    "text-embedding-classifier": "Apache-2.0 (transformers), BSD-3-Clause (torch, scikit-learn); weights have terms of their own",
    "text-matcher": "Apache-2.0 and CNRI-Python (regex)",
    "text-regressor": "BSD-3-Clause (scikit-learn)",
    "time-series": "BSD-3-Clause (scikit-learn)",
    "zero-shot": "Apache-2.0 (transformers), BSD-3-Clause (torch); weights have terms of their own",
    "transformers-classifier": "Apache-2.0 (transformers), BSD-3-Clause (torch); weights have terms of their own",
}


def adapters_reference() -> str:
    """A table of the built-in adapters: what each answers, reads, needs and is licensed under."""
    rows = ["| adapter | answers | reads | learns | install | licence | shown by |", "|---|---|---|---|---|---|---|"]
    shown = _shown()
    for name, adapter in builtin_adapters().items():
        cells = [
            f"[`{name}`](recipe.md#options-of-{name})",
            ", ".join(f"`{tag}`" for tag in answered_tags(adapter)),
            ", ".join(f"`{tag}`" for tag in sorted(adapter.consumes)),
            "yes" if issubclass(adapter, TrainableAdapter) else "no",
            _install(adapter),
            adapter.licence or "",
            ", ".join(f"[{recipe}](gallery/{recipe}.md)" for recipe in shown.get(name, [])),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _shown() -> dict[str, list[str]]:
    """The gallery's recipes by the adapters that they name."""
    found: dict[str, list[str]] = {}
    for recipe, path in gallery_recipes().items():
        for name in load_recipe(path).adapters:
            found.setdefault(name, []).append(recipe)
    return found


def _install(adapter: type[Adapter]) -> str:
    return f'`pip install "lsml[{adapter.extra}]"`' if adapter.extra else "nothing"


def with_adapters(page: str) -> str:
    """The page's text with the table of now between its markers."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{adapters_reference()}\n\n{END}{rest.partition(END)[2]}"


def gallery_pages() -> dict[Path, str]:
    """The text of each page under docs/gallery."""
    index = ["# Gallery", "", "Recipes to start from: `lsml new NAME` copies one. The pictures show what a prediction looks like in "
             "Label Studio, with made-up answers and scores.", "",
             "| recipe | does | install |", "|---|---|---|"]  # fmt: skip
    pages = {}
    for name, path in gallery_recipes().items():
        recipe = load_recipe(path)
        extras = sorted({extra for name in recipe.adapters if (extra := get_adapter(name).extra)})
        install = f'`pip install "lsml[{",".join(extras)}]"`' if extras else "nothing"
        index.append(f"| [{name}]({name}.md) | {recipe.description} | {install} |")
        pages[DOCS / "gallery" / f"{name}.md"] = _gallery_page(name, path, install)
    pages[DOCS / "gallery" / "README.md"] = "\n".join(index) + "\n"
    return pages


def _gallery_page(name: str, path: Path, install: str) -> str:
    """What a recipe does, binds and needs, what it looks like, and its text."""
    recipe = load_recipe(path)
    assert recipe.labeling_config is not None
    binding = bind(recipe, parse_labeling_config(recipe.labeling_config))
    rows = ["| control | of | adapter | licence |", "|---|---|---|---|"]
    for model in binding.models:
        controls = ", ".join(f"`{control.control_tag.selector}`" for control in model.controls)
        for adapter in (get_adapter(use.adapter) for use in model.spec.uses):
            rows.append(f"| {controls} | `{model.object_tag.tag}` | `{adapter.name}` | {adapter.licence} |")
    picture = f"![Label Studio with a prediction of {name}. {recipe.description}](../pictures/gallery-{name}.png)"
    text = path.read_text(encoding="utf-8")
    return "\n".join([
        f"# {name}", "", f"{recipe.description}", "", "```sh", f"lsml new {name}", f"lsml run {name}.yaml", "```", "",
        f"To install beside lsml: {install}.", "", *rows, "", picture, "", "```yaml", text.rstrip(), "```", "",
    ])  # fmt: skip


def write() -> None:
    """Write the pages; a page of a recipe that is gone goes."""
    ADAPTERS.write_text(with_adapters(ADAPTERS.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    pages = gallery_pages()
    (DOCS / "gallery").mkdir(exist_ok=True)
    for path in (DOCS / "gallery").glob("*.md"):
        if path not in pages:
            path.unlink()
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8", newline="\n")
