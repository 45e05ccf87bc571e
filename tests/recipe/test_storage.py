"""The places that `storage` names: addresses that are checked, and passwords that nobody sees."""

import pytest

from lsml.errors import RecipeError
from lsml.recipe import load_recipe

CHECK = "check the host and the port, and write %2F for a / in a password"
RECIPE = "lsml: 1\nname: triage\ntags: {Choices: text-classifier}\nstorage:\n  "


def loaded(tmp_path, address, environ=None, key="database"):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"{RECIPE}{key}: {address}", encoding="utf-8")
    return load_recipe(path, environ or {})


def test_a_password_of_the_environment_is_a_secret_and_shows_in_no_repr(tmp_path):
    recipe = loaded(tmp_path, "postgresql://lsml:${PASSWORD}@db/lsml", {"PASSWORD": "not%2Ftold"})
    assert recipe.storage.database == "postgresql://lsml:not%2Ftold@db/lsml"
    assert set(recipe.secrets()) == {"not%2Ftold", "not/told"}
    assert "told" not in repr(recipe)
    assert recipe.warnings == ()


def test_a_password_in_the_file_is_warned_of(tmp_path):
    (warning,) = loaded(tmp_path, "postgresql://lsml:told@db/lsml").warnings
    assert "storage.database: a secret in the file; write `${LSML_DATABASE_PASSWORD}`" in str(warning)


def test_a_database_may_have_several_hosts(tmp_path):
    address = "postgresql://lsml@one:5432,two:5432/lsml"
    assert loaded(tmp_path, address).storage.database == address


def test_without_the_variable_it_is_a_file(tmp_path):
    assert loaded(tmp_path, "${LSML_DATABASE:-}").storage.database is None


def test_a_queue_has_a_secret_and_artifacts_have_none(tmp_path):
    recipe = loaded(tmp_path, "redis://:${PASSWORD}@redis/0", {"PASSWORD": "told"}, "queue")
    assert recipe.secrets() == ("told",)
    assert "told" not in repr(recipe)
    recipe = loaded(tmp_path, "s3://bucket/prefix", key="artifacts")
    assert (recipe.storage.artifacts, recipe.secrets()) == ("s3://bucket/prefix", ())


@pytest.mark.parametrize(
    ("key", "address", "message"),
    [
        ("queue", "amqp://host", "expected an address such as redis://host/0, got `amqp://host`"),
        ("artifacts", "/srv/models", "expected an address such as s3://bucket/prefix, got `/srv/models`"),
        (
            "database",
            "mysql://db/lsml",
            "expected an address such as postgresql://user@host/database, got `mysql://db/lsml`",
        ),
        ("database", "postgresql://[db/lsml", f"not an address; {CHECK}"),
        ("queue", "redis://host:abc/0", f"not an address; {CHECK}"),
    ],
)
def test_what_is_no_address_is_an_error_with_its_place(tmp_path, key, address, message):
    with pytest.raises(RecipeError) as error:
        loaded(tmp_path, address, key=key)
    assert str(error.value).endswith(f"recipe.yaml:5:3: storage.{key}: {message}")
