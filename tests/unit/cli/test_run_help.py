"""What `defer run NAME --help` says of a function."""

from __future__ import annotations

import click

from defer_cli.run_help import examples, rows, usage, write_function
from defer_emulator.domain.functions import FunctionSpec, Parameter, ParameterKind


def parameter(
    name: str,
    annotation: str | None = None,
    default: str | None = None,
    kind: ParameterKind = "positional_or_keyword",
) -> Parameter:
    required = default is None and not kind.startswith("var_")
    return Parameter(name=name, kind=kind, required=required, annotation=annotation, default=default)


MAIL = FunctionSpec(
    name="send_mail",
    module="defer.send_mail",
    file="defer/send_mail.py",
    line=4,
    kind="background",
    doc="Send a mail to a user.",
    parameters=(
        parameter("user_id", "int"),
        parameter("template", "str", "'welcome'"),
        parameter("tags", "str", kind="var_positional"),
        parameter("team", "'str'", kind="keyword_only"),
        parameter("dry_run", "bool", "False", kind="keyword_only"),
        parameter("more", kind="var_keyword"),
    ),
)


def test_each_parameter_says_how_it_is_given_and_what_it_takes() -> None:
    assert list(rows(MAIL.parameters)) == [
        ("USER_ID, --user-id", "int  required"),
        ("TEMPLATE, --template", "str  ['welcome']"),
        ("TAGS...", "str  more values"),
        ("--team", "str  required"),
        ("--dry-run / --no-dry-run", "bool  [False]"),
        ("--ANY-NAME VALUE", "more values, by name"),
    ]
    assert list(rows((parameter("raw", kind="positional_only"),))) == [("RAW", "required")]


def test_examples_can_be_typed_as_they_stand() -> None:
    assert examples(MAIL) == [
        "defer run send_mail 7 --team text",
        "defer run send_mail --user-id 7 --team text",
        "defer run send_mail 7 --team text --wait",
    ]
    assert examples(FunctionSpec(name="f", module="", file="", line=1, kind="background"))[0] == "defer run f"


def test_the_page_begins_with_how_to_run_it() -> None:
    assert usage(MAIL.parameters) == "USER_ID [TEMPLATE] [TAGS]... --team VALUE [OPTIONS]"
    formatter = click.HelpFormatter(width=100)
    write_function(formatter, MAIL)
    text = formatter.getvalue()
    assert text.startswith("Usage: defer run send_mail USER_ID")
    for part in ("Send a mail to a user.", "send_mail(user_id: int", "defer/send_mail.py:4"):
        assert part in text
