"""The form that runs a function: a field for each parameter, made from the signature. Also to edit the
arguments of an execution, before it runs again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from defer_client.durations import parse_when
from defer_client.errors import DeferError, InvalidArguments, InvalidMetadata
from defer_client.models import Arguments, Call, Json
from defer_client.options import check_metadata
from defer_emulator.domain.functions import FunctionSpec, Parameter
from defer_emulator.domain.signature import check_arguments
from defer_emulator.web.console.parameters import Asked, Wrong, asked, default_of, meant, parse_json, shown
from defer_emulator.web.console.request import Fields, last
from defer_emulator.web.errors import full_message

ALL = "json"  # the field that takes all arguments as JSON
LONGEST_TWICE = 10_000  # characters of JSON that are shown beside the fields that say the same
PREFIX = "arg-"  # of the fields of parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class RunField:
    """A parameter as the form shows it."""

    name: str  # of the form's field
    parameter: Parameter
    how: Asked
    value: str
    choices: Sequence[tuple[str, str]] = ()  # of a choice: what is sent, and what it is called
    placeholder: str = ""
    error: str | None = None

    @property
    def label(self) -> str:
        stars = {"var_positional": "*", "var_keyword": "**"}.get(self.parameter.kind, "")
        return stars + self.parameter.name

    @property
    def required(self) -> bool:
        return self.parameter.required


@dataclass(frozen=True, kw_only=True, slots=True)
class RunForm:
    """All that the form shows. `errors` are by field; `""` is the form's own."""

    fields: Sequence[RunField]
    as_json: str  # all arguments, as JSON
    use_json: bool = False
    delay: str = ""
    discard_after: str = ""
    metadata: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


class WrongForm(Exception):
    """What was sent cannot be run: a message for each wrong field, `""` for all of it."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


# --- showing --------------------------------------------------------------------------------------


def empty_form(spec: FunctionSpec, metadata: Mapping[str, str] | None = None) -> RunForm:
    """With the defaults of the signature."""
    return _form(spec, {}, metadata=metadata)


def form_with(spec: FunctionSpec, arguments: Arguments, metadata: Mapping[str, str] | None = None) -> RunForm:
    """With the arguments of a call; as JSON where they do not fit the signature any more."""
    values = _by_parameter(spec, arguments)
    as_json = json.dumps(_compact(arguments), ensure_ascii=False, indent=2)
    if not _is_typable(as_json) or not all(map(_is_typable, _texts(values or {}))):
        values, as_json = None, json.dumps(_compact(arguments), indent=2)
    if values is not None and len(as_json) > LONGEST_TWICE:
        as_json = ""
    return _form(spec, values or {}, as_json=as_json, use_json=values is None, metadata=metadata)


def _texts(values: Mapping[str, Json]) -> list[str]:
    return [value for value in values.values() if isinstance(value, str)]


def _is_typable(text: str) -> bool:
    """Whether a field of a page gives the text back as it was."""
    return re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text) is None


def form_again(spec: FunctionSpec, posted: Fields, errors: Mapping[str, str]) -> RunForm:
    """As it was sent, with what is wrong."""
    texts = {name: last_raw(posted, name) for name in posted}
    return RunForm(
        fields=[
            _field(parameter, texts.get(PREFIX + parameter.name, ""), errors.get(PREFIX + parameter.name))
            for parameter in spec.parameters
        ],
        as_json=texts.get(ALL, ""),
        use_json=last(posted, "mode") == ALL,
        delay=texts.get("delay", ""),
        discard_after=texts.get("discard_after", ""),
        metadata=texts.get("metadata", ""),
        errors=errors,
    )


def last_raw(fields: Fields, name: str) -> str:
    """The last value with its blanks: they are part of a text."""
    values = fields.get(name)
    return values[-1] if values else ""


def _form(
    spec: FunctionSpec,
    values: Mapping[str, Json],
    *,
    as_json: str = "",
    use_json: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> RunForm:
    fields = []
    for parameter in spec.parameters:
        how = asked(parameter)
        has_default, default = default_of(parameter)
        if parameter.name in values:
            text = shown(values[parameter.name], how)
        else:
            text = shown(default, how) if has_default and default is not None else ""
        fields.append(_field(parameter, text))
    pairs = "\n".join(f"{key}={value}" for key, value in (metadata or {}).items())
    return RunForm(fields=fields, as_json=as_json, use_json=use_json, metadata=pairs)


def _field(parameter: Parameter, text: str, error: str | None = None) -> RunField:
    how = asked(parameter)
    return RunField(
        name=PREFIX + parameter.name,
        parameter=parameter,
        how=how,
        value=text,
        choices=[(json.dumps(choice), _called(choice)) for choice in how.choices],
        placeholder="" if parameter.default is None else f"{parameter.default:.80}",
        error=error,
    )


def _called(choice: Json) -> str:
    return choice if isinstance(choice, str) else json.dumps(choice)


def _by_parameter(spec: FunctionSpec, arguments: Arguments) -> dict[str, Json] | None:
    """What each parameter got; None where the call does not fit the signature."""
    try:
        check_arguments(spec, arguments)
    except InvalidArguments:
        return None
    by_place = [one for one in spec.parameters if one.kind in ("positional_only", "positional_or_keyword")]
    values: dict[str, Json] = {
        one.name: value for one, value in zip(by_place, arguments.positional, strict=False)
    }
    by_name = {one.name for one in spec.parameters if one.kind in ("positional_or_keyword", "keyword_only")}
    others: dict[str, Json] = {}
    for name, value in arguments.keyword.items():
        (values if name in by_name else others)[name] = value
    for parameter in spec.parameters:
        if parameter.kind == "var_positional" and len(arguments.positional) > len(by_place):
            values[parameter.name] = list(arguments.positional[len(by_place) :])
        elif parameter.kind == "var_keyword" and others:
            values[parameter.name] = others
    return values


def _compact(arguments: Arguments) -> Json:
    """An array, or an object where all go by name; `{"positional", "keyword"}` where there are both."""
    if not arguments.keyword:
        return list(arguments.positional)
    if not arguments.positional:
        return dict(arguments.keyword)
    return {"positional": list(arguments.positional), "keyword": dict(arguments.keyword)}


# --- reading --------------------------------------------------------------------------------------


def read_call(spec: FunctionSpec, posted: Fields) -> Call:
    """What the form asks for. Raises `WrongForm`."""
    errors: dict[str, str] = {}
    arguments = Arguments()
    try:
        arguments = read_arguments(spec, posted)
    except WrongForm as wrong:
        errors.update(wrong.errors)
    delay = _when(posted, "delay", errors)
    discard_after = _when(posted, "discard_after", errors)
    metadata = _metadata(last(posted, "metadata"), errors)
    if errors:
        raise WrongForm(errors)
    return Call(
        function_name=spec.name,
        arguments=arguments,
        delay=delay,
        discard_after=discard_after,
        metadata=metadata,
    )


def read_arguments(spec: FunctionSpec, posted: Fields) -> Arguments:
    """The arguments alone. Raises `WrongForm`."""
    if last(posted, "mode") == ALL:
        arguments = _read_json(last_raw(posted, ALL))
        place = ALL
    else:
        arguments = _read_fields(spec, posted)
        place = ""
    try:
        check_arguments(spec, arguments)
    except InvalidArguments as error:
        raise WrongForm({place: error.message}) from None
    return arguments


def _read_json(text: str) -> Arguments:
    try:
        value = parse_json(text or "[]")
    except Wrong as wrong:
        raise WrongForm({ALL: f"This {wrong}"}) from None
    if isinstance(value, list):
        return Arguments(positional=value)
    if isinstance(value, dict):
        both = value.keys() == {"positional", "keyword"}
        if both and isinstance(value["positional"], list) and isinstance(value["keyword"], dict):
            return Arguments(positional=value["positional"], keyword=value["keyword"])
        return Arguments(keyword=value)
    raise WrongForm({ALL: "This must be an array (by position) or an object (by name)"})


def _read_fields(spec: FunctionSpec, posted: Fields) -> Arguments:
    values: dict[str, Json] = {}
    errors: dict[str, str] = {}
    for parameter in spec.parameters:
        try:
            found, value = _read_field(parameter, last_raw(posted, PREFIX + parameter.name))
        except Wrong as wrong:
            errors[PREFIX + parameter.name] = f"{parameter.name} {wrong}"
            continue
        if found:
            values[parameter.name] = value
    if errors:
        raise WrongForm(errors)
    return _arranged(spec, values)


def _read_field(parameter: Parameter, text: str) -> tuple[bool, Json]:
    """Whether the field gives a value, and which. Raises `Wrong`."""
    how = asked(parameter)
    has_default, default = default_of(parameter)
    if how.kind == "text" and text == "" and not parameter.required:
        # An empty field where the default is a text was emptied; else nobody touched it.
        return (True, "") if isinstance(default, str) and default else (False, None)
    if text.strip() == "" and how.kind != "text":
        if parameter.required and parameter.kind not in ("var_positional", "var_keyword"):
            raise Wrong("is required")
        return False, None
    if text == "" and parameter.required:
        raise Wrong('is required (an empty text can be given as JSON: "")')
    value = meant(text, how)
    is_default = has_default and type(value) is type(default) and value == default
    return not is_default, value


def _arranged(spec: FunctionSpec, values: Mapping[str, Json]) -> Arguments:
    """By position as long as nothing is left out, then by name. Raises `WrongForm`."""
    positional: list[Json] = []
    keyword: dict[str, Json] = {}
    skipped: str | None = None
    for parameter in spec.parameters:
        name = parameter.name
        if name not in values:
            if parameter.kind in ("positional_only", "positional_or_keyword"):
                skipped = skipped or name
        elif parameter.kind == "var_keyword":
            keyword.update(values[name])
        elif parameter.kind == "keyword_only" or (skipped and parameter.kind == "positional_or_keyword"):
            keyword[name] = values[name]
        elif parameter.kind == "var_positional" and not values[name]:
            continue
        elif skipped:
            raise WrongForm({PREFIX + skipped: f"{skipped} must be given, because {name} comes after it"})
        elif parameter.kind == "var_positional":
            positional.extend(values[name])
        else:
            positional.append(values[name])
    return Arguments(positional=positional, keyword=keyword)


def _when(posted: Fields, name: str, errors: dict[str, str]) -> timedelta | datetime | None:
    text = last(posted, name)
    if not text:
        return None
    try:
        return parse_when(text, name)
    except DeferError as error:
        errors[name] = full_message(error)
        return None


def _metadata(text: str, errors: dict[str, str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in text.split("\n"):
        if not line.strip():
            continue
        key, equals, value = line.partition("=")
        if not equals:
            errors["metadata"] = f"each line is key=value, not {line.strip()!r:.80}"
            return {}
        pairs[key.strip()] = value.strip()
    try:
        return check_metadata(pairs)
    except InvalidMetadata as error:
        errors["metadata"] = error.message
        return {}
