"""The OpenAPI document: what it says about the whole API, and the webhooks beside the paths."""

from typing import Any

from fastapi import FastAPI

from app.webhooks.catalogue import document_webhooks

INFO: dict[str, Any] = {
    "title": "Stagefolio",
    "version": "1.0.0",
    "summary": "Customer lifecycle, actions and recommended portfolios for financial institutions.",
    "description": (
        "Every customer is in one of five stages: prospect, trial, growth, mature, decline. Signals move them by rules "
        "that can be read; every stage starts actions; every customer has a recommended strategic portfolio. Errors "
        "are `application/problem+json`; lists are pages with an opaque cursor; changes need `If-Match`."
    ),
    "license_info": {"name": "MIT", "identifier": "MIT"},
}


def install(app: FastAPI) -> None:
    """Make `app.openapi()` return the finished document."""
    document_webhooks(app)
    build = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _finish(build())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _finish(document: dict[str, Any]) -> dict[str, Any]:
    """Drop what FastAPI adds about its own validation error: our 422 is a problem document like the others."""
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation.get("responses", {}).values():
                content = response.get("content", {})
                if "application/problem+json" in content and "application/json" in content:
                    content["application/problem+json"] = content.pop("application/json")
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    document["servers"] = [{"url": "/", "description": "This server"}]
    return document
