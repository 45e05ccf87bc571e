"""Checks of an adapter's declarations: name, options and imports."""

from __future__ import annotations

import msgspec

from lsml.adapters.base import API
from lsml.labeling import KNOWN_OBJECT_TAGS
from lsml.testing.suite import Suite
from lsml.values import VALUE_TYPES

_DECIDES = ("predictions", "training", "machine", "secret")


class Declares(Suite):
    """Checks of name, options and imports."""

    def test_it_declares_itself(self) -> None:
        """It declares its name, the contract version, and what it consumes and produces."""
        adapter = self.case.adapter
        assert adapter.api == API, f"api is {adapter.api}; this contract has version {API}"
        assert adapter.name, "name is empty"
        assert adapter.title, "title is empty"
        assert adapter.consumes, "consumes names no object tag"
        assert adapter.consumes <= set(KNOWN_OBJECT_TAGS), (
            f"consumes: {adapter.consumes - set(KNOWN_OBJECT_TAGS)} is unknown"
        )
        assert adapter.produces, "produces names no value type"
        assert adapter.produces <= set(VALUE_TYPES), "produces names something that is no value type"

    def test_every_option_is_described_bounded_by_a_type_and_has_a_default(self) -> None:
        """The schema and `lsml adapters` describe each option by them."""
        options = self.case.adapter.Options
        options()  # every field has a default
        info = msgspec.inspect.type_info(options)
        assert isinstance(info, msgspec.inspect.StructType), "Options is no msgspec.Struct"
        assert info.forbid_unknown_fields, "Options accepts unknown options; add forbid_unknown_fields=True"
        for option in info.fields:
            where = f"option {option.encode_name}"
            meta = option.type
            assert isinstance(meta, msgspec.inspect.Metadata), f"{where} has no msgspec.Meta"
            assert (meta.extra_json_schema or {}).get("description"), f"{where} has no description"
            decides = (meta.extra or {}).get("decides")
            assert decides in _DECIDES, f"{where} decides {decides!r}; expected one of {', '.join(_DECIDES)}"
            assert not isinstance(meta.type, msgspec.inspect.AnyType), f"{where} takes anything; give it a type"

    def test_an_unknown_option_is_refused(self) -> None:
        """A misspelt option must not silently become a default."""
        try:
            msgspec.convert({"no-such-option": 1}, self.case.adapter.Options)
        except msgspec.ValidationError:
            return
        raise AssertionError("Options accepts an unknown option; add forbid_unknown_fields=True")

    def test_importing_it_does_not_import_its_library(self) -> None:
        """`lsml validate` and the server start without it."""
        adapter = self.case.adapter
        code = f"import sys, {adapter.__module__}; print([m for m in {list(adapter.requires)!r} if m in sys.modules])"
        imported = self.fresh(code).strip()
        assert imported == "[]", f"importing {adapter.__module__} imports {imported}; import inside methods"
