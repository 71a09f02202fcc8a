"""`defer run NAME --help`: what the function takes, as its signature says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from defer_cli.arguments import is_switch, option_name
from defer_emulator.domain.functions import FunctionSpec, Parameter
from defer_emulator.domain.signature import signature_text

EXAMPLES = {
    "int": "7",
    "float": "1.5",
    "str": "text",
    "bool": "true",
    "list": "'[1, 2]'",
    "dict": "'{\"a\": 1}'",
}


def write_function(formatter: click.HelpFormatter, spec: FunctionSpec) -> None:
    """How to run it, its signature, what it is for, and each of its parameters."""
    formatter.write_usage(f"defer run {spec.name}", usage(spec.parameters))
    formatter.write_paragraph()
    with formatter.indentation():
        if spec.doc:
            formatter.write_text(spec.doc)
        formatter.write_text(signature_text(spec))
        if spec.file:
            formatter.write_text(f"{spec.file}:{spec.line}")
    if spec.parameters:
        with formatter.section("Parameters"):
            formatter.write_dl(list(rows(spec.parameters)))
    with formatter.section("Examples"):
        for line in examples(spec):
            formatter.write_text(line)


def usage(parameters: Sequence[Parameter]) -> str:
    """`USER_ID [TEMPLATE] --team VALUE [OPTIONS]`."""
    words = []
    for one in parameters:
        word = one.name.upper() if one.kind.startswith("positional") else f"{option_name(one.name)} VALUE"
        if one.kind == "var_positional":
            words.append(f"[{one.name.upper()}]...")
        elif one.required:
            words.append(word)
        elif one.kind.startswith("positional"):
            words.append(f"[{word}]")
    return " ".join([*words, "[OPTIONS]"])


def rows(parameters: Sequence[Parameter]) -> Iterator[tuple[str, str]]:
    """How each parameter is given, and what it takes."""
    for parameter in parameters:
        kind = "" if parameter.annotation is None else parameter.annotation.strip("\"'")
        if parameter.kind == "var_positional":
            yield f"{parameter.name.upper()}...", f"{kind}  more values".strip()
            continue
        if parameter.kind == "var_keyword":
            yield "--ANY-NAME VALUE", f"{kind}  more values, by name".strip()
            continue
        ways = []
        if parameter.kind != "keyword_only":
            ways.append(parameter.name.upper())
        if parameter.kind != "positional_only":
            option = option_name(parameter.name)
            ways.append(
                f"{option} / {option_name('no_' + parameter.name)}" if is_switch(parameter) else option
            )
        default = "required" if parameter.required else f"[{parameter.default}]" if parameter.default else ""
        yield ", ".join(ways), f"{kind}  {default}".strip()


def examples(spec: FunctionSpec) -> list[str]:
    """Command lines with what is required, by place and by name."""
    required = [one for one in spec.parameters if one.required and not one.kind.startswith("var_")]
    by_place = [_value(one) for one in required if one.kind != "keyword_only"]
    by_name = [f"{option_name(one.name)} {_value(one)}" for one in required if one.kind == "keyword_only"]
    lines = [" ".join(["defer run", spec.name, *by_place, *by_name])]
    if by_place and all(one.kind != "positional_only" for one in required):
        named = [f"{option_name(one.name)} {_value(one)}" for one in required]
        lines.append(" ".join(["defer run", spec.name, *named]))
    return [*lines, f"{lines[0]} --wait"]


def _value(parameter: Parameter) -> str:
    kind = (parameter.annotation or "").strip("\"'").partition("[")[0].partition("|")[0].strip()
    return EXAMPLES.get(kind.rpartition(".")[2], parameter.name.upper())
