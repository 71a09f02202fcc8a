"""The words after `defer run NAME`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from defer_cli.arguments import is_source, read_arguments, read_json, read_word, takes_text
from defer_cli.commands.run import Command, split_words
from defer_cli.functions import check_fit
from defer_cli.registry import load
from defer_client.errors import InvalidArguments
from defer_emulator.domain.functions import Parameter, ParameterKind


def parameter(
    name: str, annotation: str | None = None, kind: ParameterKind = "positional_or_keyword"
) -> Parameter:
    return Parameter(name=name, kind=kind, required=True, annotation=annotation)


USER_ID = parameter("user_id", "int")
TEXT = parameter("text", "str")
DRY_RUN = parameter("dry_run", "bool")
REST = parameter("rest", None, "var_positional")
OPTIONS = parameter("options", None, "var_keyword")


def read(*words: str, parameters: tuple[Parameter, ...], after: tuple[str, ...] = ()) -> tuple[Any, Any]:
    found = read_arguments(words, after, parameters)
    return list(found.positional), dict(found.keyword)


@pytest.mark.parametrize(
    "annotation", ["str", "'str'", "str | None", "None | str", "Optional[str]", "typing.Optional[str]"]
)
def test_a_parameter_annotated_as_text_takes_words_as_they_stand(annotation: str) -> None:
    assert takes_text(parameter("p", annotation))
    assert read_word("7", parameter("p", annotation)) == "7"


@pytest.mark.parametrize("annotation", [None, "int", "str | int", "list[str]", "Any", "bytes"])
def test_other_parameters_take_json(annotation: str | None) -> None:
    assert read_word("7", parameter("p", annotation)) == 7


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("7", 7),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('{"a": [1]}', {"a": [1]}),
        ('"7"', "7"),
        ("seven", "seven"),
        ("", ""),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("[1,", "[1,"),
        ("[" * 100_000, "[" * 100_000),
        ("1" * 5_000, "1" * 5_000),
    ],
)
def test_a_word_is_json_where_it_can_be_and_text_else(word: str, value: object) -> None:
    assert read_word(word, None) == value


def test_words_go_to_the_parameters_in_their_order() -> None:
    assert read("7", "7", parameters=(USER_ID, TEXT)) == ([7, "7"], {})


def test_options_name_parameters_in_kebab_case() -> None:
    assert read("--user-id", "7", parameters=(USER_ID, TEXT)) == ([], {"user_id": 7})
    assert read("--user-id=7", "--text=a=b", parameters=(USER_ID, TEXT)) == (
        [],
        {"user_id": 7, "text": "a=b"},
    )
    assert read("--user_id", "7", parameters=(USER_ID,)) == ([], {"user_id": 7})


def test_negative_numbers_are_values() -> None:
    assert read("-5", parameters=(USER_ID,)) == ([-5], {})
    assert read("--user-id", "-5", parameters=(USER_ID,)) == ([], {"user_id": -5})


def test_a_bool_parameter_is_a_switch_that_may_have_a_value() -> None:
    assert read("--dry-run", "x", parameters=(DRY_RUN, TEXT)) == (["x"], {"dry_run": True})
    assert read("--dry-run", "false", parameters=(DRY_RUN,)) == ([], {"dry_run": False})
    assert read("--dry-run=False", parameters=(DRY_RUN,)) == ([], {"dry_run": False})


def test_what_stands_after_the_dashes_is_a_value_unless_it_names_a_parameter() -> None:
    assert read(parameters=(TEXT,), after=("--wait",)) == (["--wait"], {})
    assert read(parameters=(TEXT,), after=("--text", "--wait")) == ([], {"text": "--wait"})
    assert read(parameters=(parameter("timeout"),), after=("--timeout", "5")) == ([], {"timeout": 5})


def test_extra_words_go_to_the_rest_and_extra_names_to_the_keywords() -> None:
    assert read("1", "2", "b", parameters=(USER_ID, REST)) == ([1, 2, "b"], {})
    assert read("--any-thing", "1", parameters=(OPTIONS,)) == ([], {"any_thing": 1})


def test_an_unknown_option_names_the_near_one() -> None:
    with pytest.raises(InvalidArguments, match="'usr_id'") as caught:
        read("--usr-id", "7", parameters=(USER_ID,))
    assert "--user-id" in caught.value.hint


def test_an_option_without_a_value_and_one_given_twice_are_refused() -> None:
    with pytest.raises(InvalidArguments, match="needs a value"):
        read("--user-id", parameters=(USER_ID,))
    with pytest.raises(InvalidArguments, match="twice"):
        read("--user-id", "1", "--user-id", "2", parameters=(USER_ID,))


def test_an_unknown_short_option_says_how_to_pass_it() -> None:
    with pytest.raises(InvalidArguments) as caught:
        read("-x", parameters=(TEXT,))
    assert "-- -x" in caught.value.hint


def test_json_gives_an_array_or_an_object(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1, null]")
    assert read_json("@a.json", io.StringIO(), tmp_path).positional == [1, None]
    assert read_json("-", io.StringIO('{"a": 1}'), tmp_path).keyword == {"a": 1}


@pytest.mark.parametrize("source", ["", "7", '"x"', "{", "[NaN]", "@missing", "@.", "-", "[" * 100_000])
def test_other_json_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArguments, match="--json"):
        read_json(source, io.StringIO(""), tmp_path)


def test_a_call_that_does_not_fit_names_the_parameter() -> None:
    with pytest.raises(InvalidArguments, match="'text'"):
        check_fit("send", (USER_ID, TEXT), read_arguments(["7"], [], (USER_ID, TEXT)))


def split(*words: str) -> tuple[list[str], list[str], list[str]]:
    command = load("run")
    assert isinstance(command, Command)
    return split_words(words, command.params)


def test_our_own_options_stand_anywhere_before_the_dashes() -> None:
    own, before, after = split("send", "7", "--wait", "--user-id", "3", "--timeout", "5s", "--delay=1h", "x")
    assert own == ["--wait", "--timeout", "5s", "--delay=1h"]
    assert before == ["send", "7", "--user-id", "3", "x"]
    assert after == []


def test_after_the_dashes_nothing_is_ours() -> None:
    assert split("send", "-w", "--", "--wait", "--", "-o") == (["-w"], ["send"], ["--wait", "--", "-o"])


def test_short_options_may_hold_their_value_and_numbers_are_no_options() -> None:
    assert split("send", "-ma=b", "-5", "-") == (["-ma=b"], ["send", "-5", "-"], [])


def test_a_lone_dash_or_an_existing_file_stands_for_all_arguments(tmp_path: Path) -> None:
    (tmp_path / "arguments.json").write_text("[1, 2]")
    assert is_source(["-"], [], tmp_path)
    assert is_source(["@arguments.json"], [], tmp_path)


@pytest.mark.parametrize(
    ("before", "after"), [(["@ada"], []), ([], ["-"]), (["-", "7"], []), (["a"], []), ([], [])]
)
def test_other_words_are_values(tmp_path: Path, before: list[str], after: list[str]) -> None:
    assert not is_source(before, after, tmp_path)


@pytest.mark.parametrize(
    "annotation", ["bool", "'bool'", "bool | None", "None | bool", "Optional[bool]", None]
)
def test_a_switch_is_turned_on_and_off(annotation: str | None) -> None:
    loud = Parameter(
        name="very_loud", kind="keyword_only", required=False, annotation=annotation, default="False"
    )
    for words, value in (
        (("--very-loud",), True),
        (("--no-very-loud",), False),
        (("--very-loud", "false"), False),
    ):
        assert read(*words, parameters=(loud,)) == ([], {"very_loud": value})


def test_a_parameter_that_begins_with_no_is_no_negation() -> None:
    reply, no_reply = parameter("reply", "bool"), parameter("no_reply", "bool")
    assert read("--no-reply", parameters=(reply, no_reply)) == ([], {"no_reply": True})
    assert read("--no-text", "x", parameters=(parameter("no_text", "str"), TEXT)) == ([], {"no_text": "x"})


def test_only_switches_can_be_negated() -> None:
    with pytest.raises(InvalidArguments):
        read("--no-text", parameters=(TEXT,))
    with pytest.raises(InvalidArguments) as caught:
        read("--no-dry-rum", parameters=(DRY_RUN,))
    assert caught.value.hint == "did you mean --no-dry-run?"
    with pytest.raises(InvalidArguments, match="given twice"):
        read("--dry-run", "--no-dry-run", parameters=(DRY_RUN,))
