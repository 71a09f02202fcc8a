from __future__ import annotations

from typing import Any

import httpx
import pytest

from defer_emulator.web.api import ENDPOINTS, PREFIX

pytestmark = pytest.mark.anyio


@pytest.fixture
async def description(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


async def test_every_endpoint_is_described_and_nothing_else(description: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, item in description["paths"].items() for method in item}
    served = {(endpoint.method, PREFIX + endpoint.path) for endpoint in ENDPOINTS}
    assert described == served | {("GET", "/health")}
    names = [
        operation["operationId"] for item in description["paths"].values() for operation in item.values()
    ]
    assert len(set(names)) == len(names)


async def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    prefix = "#/components/schemas/"
    references = list(_references(description))
    assert references
    assert {reference.removeprefix(prefix) for reference in references} == set(schemas)


def _references(part: Any) -> Any:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


async def test_limits_are_described_as_they_are_checked(description: dict[str, Any]) -> None:
    call = description["components"]["schemas"]["EnqueueBody"]
    assert call["required"] == ["function_name"]
    assert call["additionalProperties"] is False
    metadata = next(one for one in call["properties"]["metadata"]["anyOf"] if one.get("type") == "object")
    assert (metadata["maxProperties"], metadata["propertyNames"]["maxLength"]) == (25, 256)
    (first,) = (
        parameter["schema"]
        for parameter in description["paths"][f"{PREFIX}/executions"]["get"]["parameters"]
        if parameter["name"] == "first"
    )
    assert (first["minimum"], first["maximum"]) == (1, 1000)


async def test_the_answers_of_an_operation_are_listed(description: dict[str, Any]) -> None:
    results = description["paths"][f"{PREFIX}/executions/{{id}}/results"]["get"]["responses"]
    assert {"200", "202", "204", "401", "404"} <= set(results)
    assert "content" not in results["204"]
