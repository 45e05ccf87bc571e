"""The generated parts of docs/architecture.md: `python -m tests.support.architecture` writes the rooms and the floors."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "architecture.md"


def rooms() -> str:
    """A row for each folder of lsml, with the first line of its docstring."""
    rows = ["| room | holds |", "|---|---|"]
    for init in sorted((ROOT / "lsml").glob("*/__init__.py")):
        text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        rows.append(f"| `lsml/{init.parent.name}/` | {text.partition(chr(10))[0]} |")
    return "\n".join(rows)


def floors() -> str:
    """The floors of the import contract, the top one first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return "\n".join(["```text", *layers, "```"])


def written(text: str) -> str:
    """The document with its generated parts as they should be."""
    for name, content in (("rooms", rooms()), ("floors", floors())):
        pattern = rf"(<!-- {name}[^\n]*-->\n).*?(<!-- end of the {name} -->)"
        text = re.sub(pattern, lambda match, new=content: f"{match[1]}{new}\n{match[2]}", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
