"""docs/architecture.md is true, and the code keeps the sizes that it promises."""

import ast
import re
from pathlib import Path

import pytest

from lsml import errors
from tests.support.architecture import DOCUMENT, ROOT, written

MODULES = sorted((ROOT / "lsml").rglob("*.py"))
TEXT = DOCUMENT.read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^\| (?P<question>[^|]+\?) \| `(?P<file>[^`]+)` \| `(?P<name>[^`]+)` \|$", TEXT, re.MULTILINE)
MOST_LINES, MOST_OF_A_CLASS, MOST_OF_A_FUNCTION = 450, 200, 60
MOST_LINES_WITH_ANY = 237
AMBIGUOUS = {
    "answer",
    "foreign",
    "lesson",
    "lessons",
    "mark",
    "moved",
    "place",
    "settle",
    "together",
    "turns",
    "wanted",
    "whole",
}
SHARED_NAMES = {  # a control tag and the value that it writes, which Label Studio calls the same
    "Ellipse": {"lsml/controls/ellipse.py", "lsml/values/kinds.py"},
    "KeyPoint": {"lsml/controls/keypoint.py", "lsml/values/kinds.py"},
    "Number": {"lsml/controls/number.py", "lsml/values/kinds.py"},
    "Polygon": {"lsml/controls/polygon.py", "lsml/values/kinds.py"},
}

KINDS = {  # folders of tests that are no room's
    "durability": "kills, full disks, power cuts and long runs of a whole lsml",
    "end_to_end": "a real Label Studio and a real browser",
}
TOPICS = {
    "adapters/llm/test_interactive": "prompts that people type, through the protocol",  # test modules that are named after a topic, as no module of lsml is it
    "adapters/series/test_templates": "`lsml new` on the time series of Label Studio's templates",
    "adapters/test_conformance": "the contract, for every adapter",
    "adapters/test_plugin": "the example package, installed",
    "adapters/test_registry": "the package itself",
    "adapters/text/test_text_adapters": "what several text adapters share",
    "binding/test_blind": "the validation set, from binding to predictions",
    "binding/test_learn_from": "whose annotations teach",
    "binding/test_renamed_labels": "labels with former names",
    "cli/test_auto": "`adapter: auto`, through several commands",
    "cli/test_offline": "the commands that need no Label Studio",
    "cli/test_offline_boxes": "the same on boxes",
    "cli/test_offline_images": "the same on images",
    "cli/test_publishing": "`lsml predict --project` and `lsml clear`",
    "cli/test_recipes": "the commands that look at recipes",
    "cli/test_run_several": "`lsml run` with several recipes",
    "controls/test_controls": "the contract, for every control tag",
    "controls/test_fixtures": "regions from files, for every control tag",
    "controls/test_registry": "the package itself",
    "doctor/test_machine_and_data": "two modules whose findings are made in one setting",
    "learning/test_accepted": "accepted predictions, from webhook to version",
    "metrics/test_metrics": "the package itself: one judge for each value type",
    "recipe/test_gallery_endpoints": "gallery recipes that ask services",
    "recipe/test_gallery_language": "gallery recipes with language models",
    "recipe/test_gallery_scenes": "what the pictures of gallery recipes show",
    "recipe/test_gallery_vision": "gallery recipes with vision models",
    "server/test_limits": "`server.limits`, each in the module that holds it",
    "server/test_safety": "the promises of docs/security.md",
    "server/test_traffic": "recorded requests of Label Studio",
    "server/test_waitress": "private parts of waitress",
    "test_architecture": "the code as a whole",
    "test_deploy": "the compose file",
    "test_dockerfile": "a file of the project",
    "test_helm": "the Helm chart",
    "test_licences": "a page of the documentation",
    "test_lock": "a file of the project",
    "test_monitoring": "the dashboard and the alert rules",
    "test_benchmarks": "a script under benchmarks",
    "test_docs": "files of the project",
    "test_readme": "a file of the project",
    "test_release": "files of the project",
    "test_security": "the promises of docs/security.md",
    "test_site": "files of the project",
}


def test_the_rooms_and_floors_are_those_of_the_code():
    assert written(TEXT) == TEXT, "run `python -m tests.support.architecture`"


def test_every_room_says_in_a_line_what_it_holds():
    for line in re.findall(r"^\| `lsml/\w+/` \|(.*)\|$", TEXT, re.MULTILINE):
        assert line.strip().endswith(".")


def test_every_path_that_is_named_is_there():
    paths = re.findall(r"`(lsml/[\w./]*)`", TEXT)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(("question", "file", "name"), QUESTIONS)
def test_a_question_is_answered_where_it_says(question, file, name):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf'^\s*(def|class) {name}\b|"{name}"', text, re.MULTILINE), question


def test_the_questions_are_read():
    assert len(QUESTIONS) >= 15


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_class_or_function_is_longer_than_a_reader_can_hold(path: Path):
    text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    long = {name} if text.count("\n") > MOST_LINES else set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            most = MOST_OF_A_CLASS if isinstance(node, ast.ClassDef) else MOST_OF_A_FUNCTION
            if (node.end_lineno or 0) - node.lineno >= most:
                long.add(f"{name}:{node.name}")
    assert not long, "split it along its jobs"


def test_the_name_of_a_class_means_one_thing():
    modules: dict[str, set[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                modules.setdefault(node.name, set()).add(path.relative_to(ROOT).as_posix())
    assert {name: where for name, where in modules.items() if len(where) > 1} == SHARED_NAMES


def test_a_word_with_several_meanings_names_nothing():
    named = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno}: {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name.strip("_").lower() in AMBIGUOUS
    ]
    assert not named, "name it after what it returns or holds"


def test_the_tests_mirror_the_modules():
    """CONTRIBUTING.md: `tests/<room>/test_<module>.py`, a folder of KINDS, or a topic with its reason."""
    unnamed = {
        name.as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if (name := path.relative_to(ROOT / "tests").with_suffix("")).parts[0] not in KINDS
        and not (module := ROOT / "lsml" / name.parent / name.name.removeprefix("test_")).is_dir()
        and not module.with_suffix(".py").exists()
    }
    assert unnamed - set(TOPICS) == set(), "name it after its module, or add the topic with its reason"
    assert set(TOPICS) - unnamed == set(), "it is gone, or named after a module"


def test_no_module_of_the_tests_needs_an_extra_to_be_collected():
    # The default run takes `lsml[dev]` alone; a module that cannot be imported fails all of it.
    extras = {
        "av",
        "faster_whisper",
        "fsspec",
        "gliner",
        "moto",
        "onnxruntime",
        "openvino",
        "psycopg",
        "rapidocr",
        "redis",
    }
    extras |= {"safetensors", "spacy", "tokenizers", "torch", "torchvision", "transformers", "ultralytics"}
    needed = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            needed += [f"{path.relative_to(ROOT)}: {name}" for name in names if name.split(".")[0] in extras]
    assert needed == []


def test_any_says_what_nothing_checks_and_grows_no_more():
    lines = [line for path in MODULES for line in path.read_text(encoding="utf-8").splitlines()]
    said = [line for line in lines if re.search(r"\bAny\b", line) and not re.match(r"\s*(from|import|#|\"\"\")", line)]
    assert len(said) <= MOST_LINES_WITH_ANY, "type it, or use `object` where whatever comes is checked"
    assert len(said) > MOST_LINES_WITH_ANY - 20, "lower MOST_LINES_WITH_ANY: it only falls"


def test_every_mark_that_silences_a_checker_says_why():
    bare = re.compile(r"# (noqa|type: ignore)(?!(: [A-Z0-9, ]+|\[[a-z, -]+\]) *[(#-])")
    marks = [
        f"{path.name}: {line.strip()}"
        for path in MODULES
        for line in path.read_text(encoding="utf-8").splitlines()
        if bare.search(line)
    ]
    assert marks == []


OWN_ERRORS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.LsmlError)
}


def unsaid_raises(node: ast.AST, where: str) -> list[str]:
    """Return the public functions below a node that raise an error of lsml without a word about it in their docstring."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            found += unsaid_raises(child, where)
        if not isinstance(child, ast.FunctionDef) or child.name.startswith("_") or child.name == "command":
            continue
        inner = {
            id(one)
            for part in ast.walk(child)
            if isinstance(part, ast.FunctionDef) and part is not child
            for one in ast.walk(part)
        }
        raised = [one.exc for one in ast.walk(child) if isinstance(one, ast.Raise) and one.exc and id(one) not in inner]
        names = {getattr(one.func if isinstance(one, ast.Call) else one, "id", "") for one in raised}
        if names & OWN_ERRORS and not re.search(r"\b[Rr]aises?\b|[Rr]efuse", ast.get_docstring(child) or ""):
            found.append(f"{where}: {child.name}")
    return found


def test_a_public_function_that_raises_says_so():
    in_library = [path for path in MODULES if not {"testing", "cli"} & set(path.relative_to(ROOT).parts)]
    assert [
        one for path in in_library for one in unsaid_raises(ast.parse(path.read_text(encoding="utf-8")), path.name)
    ] == []


def test_no_docstring_opens_with_a_question_word():
    """CONTRIBUTING.md: it says what is returned or done ("Return True if ..."), or names what a class holds."""
    opens = re.compile(r"(That|What|Who|Whether|Where|Which|How)\b")
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {docstring.splitlines()[0]}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (docstring := ast.get_docstring(node))
        and opens.match(docstring)
    ]
    assert found == []
