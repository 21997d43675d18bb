"""
The OpenAPI document describes what is served.
"""

import re

import pytest

from broker.web.errors import STATUS
from tests.web.site import V1, all_routes

HIDDEN = {("GET", "/__api__/openapi.json")}


@pytest.fixture
async def document(shared):
    found = await shared.http.get("/__api__/openapi.json")
    assert 200 == found.status_code
    return found.json()


def operations(document):
    return {
        (method.upper(), path): operation
        for path, its in document["paths"].items()
        for method, operation in its.items()
    }


def references(value):
    if isinstance(value, dict):
        yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


async def test_every_route_is_described_and_nothing_else(document):
    assert set(all_routes()) - HIDDEN == set(operations(document))


async def test_every_reference_leads_somewhere(document):
    found = set(references(document))

    assert found
    for reference in found:
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


async def test_every_schema_is_used(document):
    used = {reference.rpartition("/")[2] for reference in references(document)}

    assert set(document["components"]["schemas"]) == used


async def test_errors_are_described_as_they_are(document):
    """
    400 with our body, never the framework's 422.
    """
    described = {status for operation in operations(document).values() for status in operation["responses"]}
    below_the_api = [o for (_, path), o in operations(document).items() if path.startswith(V1)]

    assert "422" not in described
    assert described - {"200", "204", "304"} <= {str(status.value) for status, _ in STATUS.values()}
    for operation in below_the_api:
        schema = operation["responses"]["400"]["content"]["application/json"]["schema"]
        assert {"$ref": "#/components/schemas/Error"} == schema
    assert {"code", "error", "payload"} == set(document["components"]["schemas"]["Error"]["properties"])


async def test_every_parameter_of_a_path_is_described(document):
    for (_, path), operation in operations(document).items():
        described = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}

        assert set(re.findall(r"{(\w+)}", path)) == described, path


async def test_the_body_of_a_build_is_described_field_by_field(document):
    schema = operations(document)["POST", f"{V1}/builds"]["requestBody"]["content"]["application/json"]["schema"]

    assert {"owner_guid", "owner_username", "content_guid", "repositories", "duration", "on_problem"} == set(
        schema["properties"]
    )
    assert False is schema["additionalProperties"]
