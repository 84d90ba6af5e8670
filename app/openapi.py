"""The OpenAPI document: what it says about the whole API, and the webhooks beside the paths."""

from typing import Any

from fastapi import FastAPI

from app.webhooks.documenting import document_webhooks

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
    "openapi_tags": [
        {"name": "Customers", "description": "Persons and small businesses: profile, contact, consents, holds."},
        {"name": "Signals", "description": "What customers do, and what happens to them."},
        {"name": "Lifecycle", "description": "Stages, transitions, and the rules that explain themselves."},
        {"name": "Simulations", "description": "What would have become of everybody under other rules."},
        {
            "name": "Actions",
            "description": "What is to be done for a customer: planned, done, or skipped with a reason.",
        },
        {"name": "Messages", "description": "The in-app inbox of a customer."},
        {"name": "Playbooks", "description": "Versions of the actions that each stage starts."},
        {"name": "Allocation", "description": "Questionnaire, assumptions, model portfolios, what-if."},
        {"name": "Recommendations", "description": "A customer's risk profile and recommended portfolio."},
        {"name": "Webhooks", "description": "Endpoints that are told of events, signed after Standard Webhooks."},
        {"name": "Events", "description": "The same events as a feed to poll."},
        {"name": "Operations", "description": "Long-running work: progress, results, what came of each item."},
        {"name": "API keys", "description": "Keys, their scopes and their end."},
    ],
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
    for webhook in document.get("webhooks", {}).values():
        for operation in webhook.values():
            # No key is sent with a webhook: its signature is what the receiver checks.
            operation["security"] = []
    document["servers"] = [{"url": "/", "description": "This server"}]
    return document
