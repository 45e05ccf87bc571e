"""Controls for each message of a chat: answered, learnt, and only where people see them.

Label Studio's editor draws a chat in its paid editions alone, so the form of the regions is that of its documentation and of
its SDK; no test here sees them drawn.
"""

from __future__ import annotations

import json

from click.testing import CliRunner

from lsml.binding import Tally, bind
from lsml.cli import main
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.recipe import load_recipe
from lsml.values import Choice, Number
from tests.conftest import tickets, write_recipe
from tests.support.fetching import no_fetch

CHAT = """<View>
  <Chat name="chat" value="$chat" editable="false"/>
  <Choices name="quality" toName="chat"><Choice value="Good"/><Choice value="Bad"/></Choices>
  <View visibleWhen="region-selected" whenRole="assistant">
    <Choices name="topic" toName="chat" perRegion="true">
      <Choice value="Billing"/><Choice value="Bug"/><Choice value="Question"/>
    </Choices>
    <Rating name="stars" toName="chat" perRegion="true"/>
  </View>
</View>"""
TAGS = "tags:\n  Choices#topic: text-classifier\n  Rating: text-regressor\n"


def said(role, content):
    return {"role": role, "content": content}


def region(id, name, message, **value):
    type_ = {"topic": "choices", "stars": "rating"}[name]
    shown = {"chatmessage": {**message, "createdAt": 1710000000000}, **value}
    return {"id": id, "from_name": name, "to_name": "chat", "type": type_, "value": shown}


def annotated(id, pairs):
    chat = [message for text, _ in pairs for message in (said("user", "please"), said("assistant", text))]
    result = [
        region(f"m{number}", name, said("assistant", text), **value)
        for number, (text, label) in enumerate(pairs)
        for name, value in (("topic", {"choices": [label]}), ("stars", {"rating": 5 if label == "Bug" else 2}))
    ]
    return {"id": id, "data": {"chat": chat}, "annotations": [{"id": id, "result": result}]}


def trained(backend, tmp_path):
    made = backend(TAGS, config=CHAT)
    pairs = tickets(60)
    export = tmp_path / "export.json"
    export.write_text(json.dumps([annotated(id, pairs[2 * id : 2 * id + 2]) for id in range(30)]), "utf-8")
    data = str(made.recipe_path.parent / "data")
    done = CliRunner().invoke(main, ["train", str(made.recipe_path), str(export), "--data-dir", data])
    assert done.exit_code == 0, done.output
    return made


def test_each_message_of_the_role_is_answered_and_the_parts_of_one_share_an_id(backend, tmp_path):
    made = trained(backend, tmp_path)
    (bug, _), (billing, _) = [pair for pair in tickets(9, seed=5) if pair[1] != "Question"][:2][::-1]
    chat = [said("user", bug), said("assistant", bug), said("assistant", " "), said("assistant", billing)]
    without = [[], "no chat", [said("user", "only me")], [{"role": "assistant"}]]
    tasks = [{"id": id, "data": {"chat": one}} for id, one in enumerate([chat, *without])]
    answered, *others = made.post("/predict", {"tasks": tasks}).json["results"]
    assert answered["result"], "the messages are answered"
    assert not any(one["result"] for one in others if one), "and those of other roles are not"
    by_message = {}
    for one in answered["result"]:
        by_message.setdefault(one["id"], []).append(one)
        assert one["value"]["chatmessage"]["role"] == "assistant" and one["to_name"] == "chat"
    assert [[one["from_name"] for one in parts] for parts in by_message.values()] == [["topic", "stars"]] * 2
    topics = {
        one["value"]["chatmessage"]["content"]: one["value"].get("choices")
        for one in answered["result"] if one["from_name"] == "topic"
    }  # fmt: skip
    assert topics == {bug: ["Bug"], billing: ["Billing"]}


def test_an_answer_is_about_its_message_whatever_its_id(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(f"lsml: 1\nname: r\n{TAGS}")
    (model, _) = bind(load_recipe(path), parse_labeling_config(CHAT)).models
    (copy,) = model.instances({"chat": [said("user", "hi"), said("assistant", "hello")]})
    answer = region("x7", "topic", said("assistant", "hello"), choices=["Bug"])
    assert copy.owns(answer) and copy.decode([answer]).values == (Choice("Bug"),)
    assert not copy.owns(region("x7", "topic", said("assistant", "another"), choices=["Bug"]))
    assert not copy.owns(region("x7", "topic", said("user", "hello"), choices=["Bug"]))
    assert not copy.owns(region("x7", "stars", said("assistant", "hello"), rating=4))
    assert not copy.owns({**answer, "value": {"choices": ["Bug"]}})


def test_controls_of_the_whole_chat_and_of_its_messages_are_different_models(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("lsml: 1\nname: r\ntags:\n  Choices, Rating: {adapter: llm, options: {model: m}}\n")
    binding = bind(load_recipe(path), parse_labeling_config(CHAT))
    assert [model.key for model in binding.models] == ["quality:llm", "topic+stars:llm"] and not binding.unbound


def test_the_version_of_a_config_without_roles_stays(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("lsml: 1\nname: r\ntags:\n  Choices: text-classifier\n")
    config = """<View><Text name="t" value="$t"/><Choices name="a" toName="t"><Choice value="A"/><Choice value="B"/></Choices>
      <Choices name="b" toName="t" visibleWhen="choice-selected" whenTagName="a"><Choice value="C"/></Choices></View>"""
    (_, asked) = bind(load_recipe(path), parse_labeling_config(config)).models
    assert asked.facts(None)[5][0][-1] == [{"when": "choice-selected", "tag_name": "a", "values": ()}]


def test_answers_about_messages_that_the_task_lacks_are_counted(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, TAGS, config=None))
    binding = bind(recipe, parse_labeling_config(CHAT))
    one, other = annotated(1, [("a bill", "Billing")]), annotated(2, [("a crash", "Bug")])
    result = tuple(one["annotations"][0]["result"] + other["annotations"][0]["result"])
    taught = binding.learn(AnnotatedTask("1", one["data"], (Annotation("1", result),)), no_fetch)
    tally = Tally()
    tally.add("1", taught)
    assert [answer for answers in taught.answers.values() for answer in answers] == [
        (Choice("Billing"),), (Number(2.0),)
    ]  # fmt: skip
    assert [left.sentence for left in tally.report()] == [
        f"{control}: 1 of 2 {called} left out: for a message that the model does not get; it has those of the task's data, of "
        "the roles in `whenRole`; first: task 1"
        for control, called in (("Choices#topic", "answers"), ("Rating#stars", "answers"))
    ]
