"""How a project's labeling config and the recipe's are compared."""

from __future__ import annotations

from lsml.doctor.studio import differences
from lsml.labeling import parse_labeling_config


def config(name: str, *labels: str):
    choices = "".join(f'<Choice value="{label}"/>' for label in labels)
    return parse_labeling_config(
        f'<View><Text name="text" value="$text"/><Choices name="{name}" toName="text">{choices}</Choices></View>'
    )


def test_controls_and_labels_that_one_config_lacks_are_told_with_those_that_are_written_alike():
    assert differences(config("topic", "Bug", "Question"), config("topic", "Bug", "Questions", "Refund")) == [
        "Choices#topic: the project lacks `Question` (near: Questions)",
        "Choices#topic: the recipe's config lacks `Questions` (near: Question)",
        "Choices#topic: the recipe's config lacks `Refund`",
    ]
    assert differences(config("topic", "Bug"), config("topics", "Bug")) == [
        "the recipe's config has Choices#topic, which the project lacks (near: topics)"
    ]
    assert differences(config("topic", "Bug"), config("topic", "Bug")) == []
