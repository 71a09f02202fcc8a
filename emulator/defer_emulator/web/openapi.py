"""`/openapi.json`, made from the table of endpoints and the types that decode their bodies."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec

from defer_emulator.web import schemas
from defer_emulator.web.api import ENDPOINTS, PREFIX, Endpoint
from defer_emulator.web.errors import ERROR_HEADER

_REF = "#/components/schemas/{name}"
_REFUSALS = (400, 401, 403, 413, 500)
_SECURITY = {
    "basic": {"type": "http", "scheme": "basic", "description": "An empty user, the token as password."},
    "bearer": {"type": "http", "scheme": "bearer"},
}

Json = dict[str, Any]
Shapes = dict[Any, Json]


def openapi(version: str) -> Json:
    """The description of the API, as OpenAPI 3.1."""
    types = list(dict.fromkeys(_types()))
    shapes, components = msgspec.json.schema_components(types, ref_template=_REF)
    shape_of = dict(zip(types, shapes, strict=True))
    paths: dict[str, Json] = {}
    for endpoint in ENDPOINTS:
        operations = paths.setdefault(PREFIX + endpoint.path, {})
        operations[endpoint.method.lower()] = _operation(endpoint, shape_of)
    paths["/health"] = {
        "get": {
            "operationId": "health",
            "summary": "Whether the emulator is ready; needs no token",
            "security": [],
            "responses": _responses(
                {200: schemas.HealthAnswer, 503: schemas.HealthAnswer, 403: schemas.ErrorAnswer}, shape_of
            ),
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Defer API", "version": version, "summary": "Background functions and crons."},
        "security": [*({name: []} for name in _SECURITY), {}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def _types() -> Iterator[Any]:
    for endpoint in ENDPOINTS:
        yield from (answer for answer in endpoint.answers.values() if answer is not None)
        if endpoint.body is not None:
            yield endpoint.body
    yield schemas.HealthAnswer


def _operation(endpoint: Endpoint, shape_of: Shapes) -> Json:
    answers = {**dict.fromkeys(_REFUSALS, schemas.ErrorAnswer), **endpoint.answers}
    operation: Json = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "responses": _responses(answers, shape_of),
    }
    if parameters := [*_path_parameters(endpoint), *_query_parameters(endpoint)]:
        operation["parameters"] = parameters
    if 201 in endpoint.answers:
        operation["responses"]["201"]["links"] = _links()
    if endpoint.body is not None:
        required = any(field.required for field in msgspec.structs.fields(endpoint.body))
        operation["requestBody"] = {
            "required": required,
            "content": {"application/json": {"schema": shape_of[endpoint.body]}},
        }
    return operation


def _responses(answers: dict[int, Any], shape_of: Shapes) -> Json:
    return {str(status): _response(status, answers[status], shape_of) for status in sorted(answers)}


def _response(status: int, answer: Any, shape_of: Shapes) -> Json:
    response: Json = {"description": HTTPStatus(status).phrase}
    if answer is not None:
        response["content"] = {"application/json": {"schema": shape_of[answer]}}
    if answer is schemas.ErrorAnswer:
        description = "The error's class in the Python client."
        response["headers"] = {ERROR_HEADER: {"description": description, "schema": {"type": "string"}}}
    return response


def _links() -> Json:
    """From the answer with a new execution to what can be asked about it."""
    return {
        endpoint.name: {"operationId": endpoint.name, "parameters": {"id": "$response.body#/data/id"}}
        for endpoint in ENDPOINTS
        if "{id}" in endpoint.path
    }


def _path_parameters(endpoint: Endpoint) -> Iterator[Json]:
    if "{id}" in endpoint.path:
        yield {"in": "path", "name": "id", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(endpoint: Endpoint) -> Iterator[Json]:
    if endpoint.query is None:
        return
    _, components = msgspec.json.schema_components([endpoint.query], ref_template=_REF)
    for name, schema in components[endpoint.query.__name__]["properties"].items():
        schema.pop("default", None)
        yield {"in": "query", "name": name, "schema": schema}
