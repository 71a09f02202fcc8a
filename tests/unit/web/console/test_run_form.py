from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from defer_client.models import Arguments
from defer_emulator.domain.functions import FunctionSpec, Parameter
from defer_emulator.web.console.run_form import WrongForm, empty_form, form_again, form_with, read_call


def spec(*parameters: Parameter) -> FunctionSpec:
    return FunctionSpec(
        name="send",
        module="defer.send",
        file="defer/send.py",
        line=1,
        kind="background",
        parameters=parameters,
    )


def p(
    name: str, annotation: str | None = None, default: str | None = None, kind: Any = "positional_or_keyword"
) -> Parameter:
    required = default is None and not kind.startswith("var_")
    return Parameter(name=name, kind=kind, required=required, annotation=annotation, default=default)


SEND = spec(
    p("to", "str"),
    p("subject", "str", "'Hello'"),
    p("copies", "int", "1"),
    p("rest", None, kind="var_positional"),
    p("urgent", "bool", "False", kind="keyword_only"),
    p("headers", "str", kind="var_keyword"),
)


def posted(**fields: str) -> dict[str, list[str]]:
    plain = {"mode", "json", "delay", "discard_after", "metadata"}
    return {name if name in plain else f"arg-{name}": [value] for name, value in fields.items()}


def wrong(form: dict[str, list[str]], one: FunctionSpec = SEND) -> dict[str, str]:
    with pytest.raises(WrongForm) as caught:
        read_call(one, form)
    return dict(caught.value.errors)


def test_the_form_shows_the_defaults_of_the_signature() -> None:
    fields = {one.label: one.value for one in empty_form(SEND).fields}
    assert fields == {
        "to": "",
        "subject": "Hello",
        "copies": "1",
        "*rest": "",
        "urgent": "false",
        "**headers": "",
    }


def test_untouched_defaults_are_left_to_the_function() -> None:
    form = posted(to="ada", subject="Hello", copies="1", urgent="false")
    assert read_call(SEND, form).arguments == Arguments(positional=["ada"])


def test_values_go_by_position_until_one_is_left_out() -> None:
    arguments = read_call(SEND, posted(to="ada", subject="Hello", copies="2", urgent="true")).arguments
    assert arguments == Arguments(positional=["ada"], keyword={"copies": 2, "urgent": True})


def test_starred_parameters_take_a_list_and_an_object() -> None:
    form = posted(to="ada", subject="Hi", copies="3", rest="[4, 5]", headers='{"x": "y"}')
    assert read_call(SEND, form).arguments == Arguments(positional=["ada", "Hi", 3, 4, 5], keyword={"x": "y"})


def test_a_value_after_one_that_is_left_out_asks_for_that_one() -> None:
    assert wrong(posted(to="ada", subject="Hello", rest="[4]")) == {
        "arg-subject": "subject must be given, because rest comes after it"
    }


def test_an_emptied_text_is_an_empty_text() -> None:
    assert read_call(SEND, posted(to="ada", subject="", copies="1")).arguments.positional == ["ada", ""]


def test_each_wrong_field_is_named() -> None:
    errors = wrong(posted(copies="many", headers="[1]", delay="soon", metadata="no equals sign"))
    assert errors.keys() == {"arg-to", "arg-copies", "arg-headers", "delay", "metadata"}
    assert errors["arg-copies"] == "copies must be a whole number, such as 7"


def test_what_was_typed_comes_back_with_what_is_wrong() -> None:
    form = posted(to=" a\nb", copies="many", delay="soon")
    again = form_again(SEND, form, wrong(form))
    assert {one.label: (one.value, one.error is not None) for one in again.fields}["to"] == (" a\nb", False)
    assert {one.label: (one.value, one.error is not None) for one in again.fields}["copies"] == ("many", True)
    assert again.delay == "soon"


def test_delay_discard_and_metadata_are_read() -> None:
    call = read_call(
        SEND, posted(to="ada", delay="5m", discard_after="1 day", metadata="user=ada\n\nplan = pro")
    )
    assert (call.delay, call.discard_after) == (timedelta(minutes=5), timedelta(days=1))
    assert call.metadata == {"user": "ada", "plan": "pro"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["ada"]', Arguments(positional=["ada"])),
        ('{"to": "ada", "copies": 2}', Arguments(keyword={"to": "ada", "copies": 2})),
        (
            '{"positional": ["ada"], "keyword": {"copies": 2}}',
            Arguments(positional=["ada"], keyword={"copies": 2}),
        ),
    ],
)
def test_all_arguments_can_be_given_as_json(text: str, expected: Arguments) -> None:
    assert read_call(SEND, posted(mode="json", json=text)).arguments == expected


@pytest.mark.parametrize("text", ["", "7", '{"to": ', '["a", "b", 1, 2, 3]x', '{"nobody": 1}', "[" * 100_000])
def test_wrong_json_is_told_at_its_field(text: str) -> None:
    assert wrong(posted(mode="json", json=text), spec(p("to", "str"))).keys() == {"json"}


def test_the_arguments_of_a_call_fill_the_fields() -> None:
    call = Arguments(positional=["ada", "Hi", 3, 4, 5], keyword={"urgent": True, "x": "y"})
    form = form_with(SEND, call, {"user": "ada"})
    fields = {one.name: [one.value] for one in form.fields}
    assert read_call(SEND, fields).arguments == call
    assert form.metadata == "user=ada" and not form.use_json


def test_arguments_that_do_not_fit_any_more_are_shown_as_json() -> None:
    form = form_with(spec(p("other", "str")), Arguments(positional=["a", "b"], keyword={"c": 1}))
    assert form.use_json
    assert '"positional"' in form.as_json


@pytest.mark.parametrize("text", ["\x1b[31m", "a\rb", "\x00", "\x7f", "\ud800"])
def test_a_text_that_no_field_can_hold_is_shown_as_json(text: str) -> None:
    form = form_with(SEND, Arguments(positional=[text]))
    assert form.use_json and text not in form.as_json
    assert read_call(SEND, posted(mode="json", json=form.as_json)).arguments.positional == [text]


def test_a_function_without_parameters_takes_none() -> None:
    assert read_call(spec(), {}).arguments == Arguments(positional=[], keyword={})
