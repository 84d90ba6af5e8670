"""The committed document is what the app serves, and is fit for generated clients."""

import json
from pathlib import Path

import pytest

from app.config import Settings
from app.errors import CODES
from app.events import PUBLIC_TYPES
from app.main import create_app
from tests.conftest import SECRET

COMMITTED = Path(__file__).parents[2] / "openapi" / "openapi.json"
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document():
    return create_app(Settings(), secret_key=SECRET).openapi()


def operations(document):
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_the_committed_document_is_the_one_that_is_served(document):
    assert json.loads(COMMITTED.read_text()) == document, "run `make openapi` and look at the difference"


def test_operation_ids_are_unique_plain_names(document):
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(name.replace("_", "").isalnum() and name.islower() for name in names)


def test_every_operation_is_described_and_has_one_tag(document):
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for _, operation in operations(document) for tag in operation["tags"]} == described
    for name, operation in operations(document):
        assert operation.get("summary"), name
        assert operation.get("description"), name
        assert len(operation["tags"]) == 1, name


def test_every_operation_needs_a_scope_and_lists_its_problems(document):
    for name, operation in operations(document):
        assert operation["security"], name
        assert all(scopes for entry in operation["security"] for scopes in entry.values()), name
        for status in ("401", "403", "422", "500"):
            assert "application/problem+json" in operation["responses"][status]["content"], (name, status)


def test_no_model_is_split_into_input_and_output(document):
    schemas = document["components"]["schemas"]
    assert not [name for name in schemas if name.endswith(("-Input", "-Output"))]
    assert "HTTPValidationError" not in schemas


def test_every_reference_leads_somewhere(document):
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    found = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert found <= set(schemas)


def test_every_public_event_is_a_webhook(document):
    assert set(document["webhooks"]) == set(PUBLIC_TYPES)
    for name, methods in document["webhooks"].items():
        assert methods["post"]["operationId"], name


def test_codes_have_chinese_titles():
    assert all(code.zh and code.en for code in CODES.values())


async def test_the_interactive_docs_need_nobody_elses_server(client):
    page = (await client.get("/docs")).text
    assert "SwaggerUI" in page
    sources = [part.split('"')[0] for part in page.split('src="')[1:]]
    assert sources
    for source in sources:
        assert source.startswith("/"), source
        assert (await client.get(source)).status_code == 200
