"""Adapters are found through entry points, loaded when asked for, and a broken plug-in is one sentence."""

import os
import subprocess
import sys
import tomllib
from typing import ClassVar

import pytest

import lsml.adapters
from lsml.adapters import adapter_names, all_adapters, builtin_adapters, get_adapter, install_hint, is_installed
from lsml.adapters.base import Adapter
from lsml.errors import AdapterError, UnknownAdapter
from tests.conftest import REPOSITORY

_PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
BUILT_IN = sorted(_PROJECT["project"]["entry-points"]["lsml.adapters"])

MODULE = """
from lsml.adapters.base import Adapter
from lsml.values import Choice

class Loud(Adapter):
    name = "loud"
    title = "says it aloud"
    consumes = frozenset({"Text"})
    produces = frozenset({Choice})

    def predict(self, batch):
        return [[] for _ in batch]
"""


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """A function that installs a distribution with one module and one entry point."""

    def forget():
        lsml.adapters._registrations.cache_clear()
        get_adapter.cache_clear()

    def install(source=MODULE, name="loud", distribution="lsml-loud", attribute="Loud"):
        module = distribution.replace("-", "_")
        folder = tmp_path / distribution
        (folder / f"{module}-1.0.dist-info").mkdir(parents=True)
        (folder / f"{module}.py").write_text(source)
        (folder / f"{module}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        (folder / f"{module}-1.0.dist-info" / "entry_points.txt").write_text(
            f"[lsml.adapters]\n{name} = {module}:{attribute}\n"
        )
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, module, raising=False)
        forget()

    forget()
    yield install
    monkeypatch.undo()
    forget()


def refusal(name="loud"):
    with pytest.raises(AdapterError) as caught:
        get_adapter(name)
    assert type(caught.value) is AdapterError
    return str(caught.value)


def test_the_built_in_adapters_are_registered_like_plug_ins():
    assert list(builtin_adapters()) == BUILT_IN
    assert set(BUILT_IN) <= set(adapter_names())


def test_a_plug_in_is_found_by_its_name_and_is_not_built_in(plug_in):
    plug_in()
    assert adapter_names() == sorted(["loud", *BUILT_IN])
    assert get_adapter("loud").title == "says it aloud"
    assert list(builtin_adapters()) == BUILT_IN


def test_an_unknown_name_says_what_is_near_and_what_there_is(plug_in):
    with pytest.raises(UnknownAdapter) as caught:
        get_adapter("text-clasifier")
    assert str(caught.value) == (
        "no adapter `text-clasifier`; did you mean `text-classifier`? installed: " + ", ".join(BUILT_IN)
    )


def test_a_name_that_is_near_nothing_gets_the_list_alone(plug_in):
    with pytest.raises(UnknownAdapter) as caught:
        get_adapter("zzz")
    assert str(caught.value) == f"no adapter `zzz`; installed: {', '.join(BUILT_IN)}"


def test_a_plug_in_that_cannot_be_imported_names_its_distribution(plug_in):
    plug_in("import nowhere_to_be_found\n")
    assert refusal() == (
        "adapter loud: its package lsml-loud cannot be imported (ModuleNotFoundError: No module named "
        "'nowhere_to_be_found'); repair or uninstall lsml-loud"
    )


def test_what_is_no_adapter_is_refused(plug_in):
    plug_in("Loud = dict\n")
    assert refusal() == (
        "adapter loud: lsml_loud:Loud of lsml-loud is not an adapter; expected a subclass of lsml.adapters.base.Adapter"
    )


def test_an_adapter_for_another_contract_is_refused(plug_in):
    plug_in(MODULE + "    api = 2\n")
    assert refusal() == (
        "adapter loud: lsml_loud:Loud of lsml-loud was written for contract 2, and this lsml has 1; install "
        "compatible versions"
    )


def test_an_adapter_that_cannot_predict_is_refused(plug_in):
    plug_in(MODULE.replace("def predict", "def foretell"))
    assert refusal() == "adapter loud: lsml_loud:Loud of lsml-loud is not a complete adapter; it lacks predict"


def test_an_adapter_that_does_not_declare_itself_is_refused(plug_in):
    plug_in(MODULE.replace("    title", "    heading").replace("    produces", "    makes"))
    assert refusal() == (
        "adapter loud: lsml_loud:Loud of lsml-loud does not declare title, produces; set them on the class"
    )


def test_class_and_entry_point_have_one_name(plug_in):
    plug_in(name="noisy")
    assert refusal("noisy") == (
        'adapter noisy: lsml_loud:Loud of lsml-loud has the name "loud"; give the class and the entry point the same '
        "name"
    )


def test_two_distributions_with_one_name_are_both_named(plug_in):
    plug_in()
    plug_in(distribution="lsml-aloud")
    assert adapter_names().count("loud") == 1
    assert refusal() == "adapter loud: registered by lsml-aloud and lsml-loud; uninstall all but one of them"


def test_a_broken_plug_in_does_not_hide_the_others(plug_in):
    plug_in("1 / 0\n")
    found = all_adapters()
    assert list(found) == sorted(["loud", *BUILT_IN])
    assert str(found["loud"]) == (
        "adapter loud: its package lsml-loud cannot be imported (ZeroDivisionError: division by zero); "
        "repair or uninstall lsml-loud"
    )
    assert all(isinstance(found[name], type) for name in BUILT_IN)


class WithALibrary(Adapter):
    name: ClassVar[str] = "with-a-library"
    extra: ClassVar[str | None] = "yolo"
    requires: ClassVar[tuple[str, ...]] = ("json", "nowhere_to_be_found.models")


def test_a_library_that_is_missing_is_noticed_and_the_extra_is_named():
    assert not is_installed(WithALibrary)
    assert install_hint(WithALibrary) == 'pip install "lsml[yolo]"'
    assert all(is_installed(adapter) for adapter in builtin_adapters().values() if adapter.extra is None)


def test_a_plug_in_s_hint_names_its_own_distribution(plug_in):
    plug_in(MODULE + "    extra = 'brass'\n")
    assert install_hint(get_adapter("loud")) == 'pip install "lsml-loud[brass]"'


def test_asking_what_is_installed_imports_no_library():
    code = (
        "import sys\n"
        "from lsml.adapters import all_adapters, is_installed\n"
        "[is_installed(adapter) for adapter in all_adapters().values()]\n"
        "print([name for name in ('sklearn', 'skops', 'numpy', 'scipy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_saving_a_model_of_scikit_learn_imports_no_torch_where_that_is_installed(tmp_path):
    fake = tmp_path / "elsewhere"
    (fake / "torch").mkdir(parents=True)
    (fake / "torch" / "__init__.py").touch()
    code = (
        "import pathlib, sys\n"
        "from lsml.adapters.parts.state import load_state, save_state\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "save_state(here, {'a': [1]})\n"
        "assert load_state(here, 'x')['a'] == [1]\n"
        "print('torch' in sys.modules, [name for name, module in sys.modules.items() if module is None])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(fake)}
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True, env=environment
    )
    assert shown.stdout.strip() == "False []"


@pytest.mark.parametrize("name", adapter_names())
def test_each_adapter_names_the_licences_of_its_libraries(name):
    assert get_adapter(name).licence, "a company reads it before it serves the adapter"
