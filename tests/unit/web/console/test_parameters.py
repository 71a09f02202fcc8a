from __future__ import annotations

import re
from typing import Any

import pytest

from defer_emulator.domain.functions import Parameter
from defer_emulator.web.console.parameters import Asked, Wrong, asked, default_of, meant, shown


def parameter(
    annotation: str | None, default: str | None = None, kind: Any = "positional_or_keyword"
) -> Parameter:
    return Parameter(name="a", kind=kind, required=default is None, annotation=annotation, default=default)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("str", Asked(kind="text")),
        ("'str'", Asked(kind="text")),
        ("str | None", Asked(kind="text", nullable=True)),
        ("typing.Optional[int]", Asked(kind="integer", nullable=True)),
        ("Union[None, float]", Asked(kind="number", nullable=True)),
        ("bool", Asked(kind="choice", choices=[True, False])),
        ("bool | None", Asked(kind="choice", nullable=True, choices=[True, False, None])),
        ("Literal['low', 'high']", Asked(kind="choice", choices=["low", "high"])),
        ("Literal['a', 1] | None", Asked(kind="choice", nullable=True, choices=["a", 1, None])),
        ("list[int]", Asked(kind="json", shape="list")),
        ("typing.Mapping[str, int] | None", Asked(kind="json", nullable=True, shape="object")),
        (None, Asked(kind="json", loose=True)),
        ("int | str", Asked(kind="json", loose=True)),
        ("Any", Asked(kind="json", loose=True)),
        ("shop.models.User", Asked(kind="json", nullable=False, loose=True)),
        ("not python (", Asked(kind="json", loose=True)),
        ("[" * 5_000, Asked(kind="json", loose=True)),
    ],
)
def test_the_annotation_says_how_a_parameter_is_asked_for(annotation: str | None, expected: Asked) -> None:
    assert asked(parameter(annotation)) == expected


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("str", "7", "7"),
        ("str", " kept ", " kept "),
        ("int", " -7 ", -7),
        ("int | None", "null", None),
        ("float", "1.5", 1.5),
        ("float", "2", 2),
        ("bool", "true", True),
        ("Literal['low', 'high']", '"low"', "low"),
        ("list[str]", '["a"]', ["a"]),
        ("dict", '{"a": [1]}', {"a": [1]}),
        (None, "7", 7),
        (None, "ada", "ada"),
        (None, '"7"', "7"),
    ],
)
def test_a_text_in_a_field_means_a_value(annotation: str | None, text: str, value: object) -> None:
    found = meant(text, asked(parameter(annotation)))
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "message"),
    [
        ("int", "1.5", "must be a whole number"),
        ("int", "1_000", "must be a whole number"),
        ("int", "9" * 5_000, "must be a whole number"),
        ("float", "true", "must be a number"),
        ("float", "NaN", "must be a number"),
        ("bool", "1", "must be one of true, false"),
        ("Literal['low', 'high']", '"other"', 'must be one of "low", "high"'),
        ("list", '{"a": 1}', "must be a list"),
        ("dict", "[1]", "must be an object"),
        ("list", "[1, 2", "is not JSON: Expecting"),
        ("list", "[NaN]", "is not JSON: NaN is not a JSON value"),
        ("list", "[" * 100_000, "is nested too deeply"),
        (None, '{"a": 1', "is not JSON"),
    ],
)
def test_what_cannot_be_the_value_says_why(annotation: str | None, text: str, message: str) -> None:
    with pytest.raises(Wrong, match=re.escape(message)):
        meant(text, asked(parameter(annotation)))


@pytest.mark.parametrize("annotation", ["str", "int", "float", "bool", "list", "dict", None, "str | None"])
@pytest.mark.parametrize(
    "value", ["", "7", "null", "true", "ada", ' "x"', 7, 1.5, True, None, [1], {"a": None}]
)
def test_a_value_that_is_shown_means_itself(annotation: str | None, value: Any) -> None:
    how = asked(parameter(annotation))
    fits = {"text": str, "integer": int, "number": float, "choice": bool}.get(how.kind)
    if fits is not None and type(value) is not fits:
        return
    if how.shape != "any" and not isinstance(value, {"list": list, "object": dict}[how.shape]):
        return
    found = meant(shown(value, how), how)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        ("'x'", (True, "x")),
        ("(1, 2)", (True, [1, 2])),
        ("None", (True, None)),
        ("{'a': 1}", (True, {"a": 1})),
        ("<object object at 0x7f>", (False, None)),
        ("datetime.timedelta(1)", (False, None)),
        ("nan", (False, None)),
        ("{1, 2}", (False, None)),
        (None, (False, None)),
    ],
)
def test_a_default_is_known_where_it_is_json(default: str | None, expected: tuple[bool, object]) -> None:
    assert default_of(parameter(None, default)) == expected
