from __future__ import annotations

import pytest

from defer_client.errors import InvalidArguments
from defer_client.models import Arguments
from defer_emulator.domain.functions import FunctionSpec, Parameter, ParameterKind
from defer_emulator.domain.signature import check_arguments, signature_text


def parameter(
    name: str,
    kind: ParameterKind = "positional_or_keyword",
    *,
    default: str | None = None,
    annotation: str | None = None,
) -> Parameter:
    required = default is None and not kind.startswith("var_")
    return Parameter(name=name, kind=kind, required=required, default=default, annotation=annotation)


def function(*parameters: Parameter) -> FunctionSpec:
    return FunctionSpec(
        name="send_mail",
        module="defer.send_mail",
        file="defer/send_mail.py",
        line=3,
        kind="background",
        parameters=parameters,
    )


SEND_MAIL = function(
    parameter("to", annotation="str"),
    parameter("subject", annotation="str", default="'hello'"),
    parameter("urgent", "keyword_only", default="False"),
)


@pytest.mark.parametrize(
    ("positional", "keyword"),
    [
        (["a@example.com"], {}),
        (["a@example.com", "news"], {}),
        ([], {"to": "a@example.com"}),
        (["a@example.com"], {"urgent": True}),
    ],
)
def test_arguments_that_fit_are_accepted(positional: list[object], keyword: dict[str, object]) -> None:
    check_arguments(SEND_MAIL, Arguments(positional=positional, keyword=keyword))


@pytest.mark.parametrize(
    ("positional", "keyword", "named"),
    [
        ([], {}, "'to'"),
        (["a", "b", "c"], {}, "too many positional"),
        (["a"], {"to": "b"}, "'to'"),
        (["a"], {"cc": "b"}, "'cc'"),
    ],
)
def test_the_parameter_that_does_not_fit_is_named(
    positional: list[object], keyword: dict[str, object], named: str
) -> None:
    with pytest.raises(InvalidArguments, match=named) as caught:
        check_arguments(SEND_MAIL, Arguments(positional=positional, keyword=keyword))
    assert "send_mail(to: str, subject: str = 'hello', *, urgent=False)" in caught.value.message


def test_stars_take_the_rest() -> None:
    spec = function(parameter("a"), parameter("rest", "var_positional"), parameter("more", "var_keyword"))
    check_arguments(spec, Arguments(positional=[1, 2, 3], keyword={"b": 4}))
    assert signature_text(spec) == "send_mail(a, *rest, **more)"


def test_positional_only_parameters_cannot_be_named() -> None:
    spec = function(parameter("a", "positional_only"), parameter("b", default="1"))
    assert signature_text(spec) == "send_mail(a, /, b=1)"
    with pytest.raises(InvalidArguments, match="'a'"):
        check_arguments(spec, Arguments(keyword={"a": 1}))


def test_only_positional_only_parameters_end_with_a_slash() -> None:
    assert signature_text(function(parameter("a", "positional_only"))) == "send_mail(a, /)"
