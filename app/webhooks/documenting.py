"""The `webhooks` section of the OpenAPI document: every public event, as its receiver would declare it."""

from typing import Annotated, Any

from fastapi import FastAPI, Header

from app.events import PUBLIC_TYPES
from app.webhooks.catalogue import MODELS
from app.webhooks.envelope import EventEnvelope

_ANSWERS: dict[int | str, dict[str, Any]] = {
    "2XX": {
        "description": "Received. Answer within 15 seconds and work afterwards; "
        "the first 4 KiB of the body are kept for the owner to read."
    },
    "3XX": {"description": "A failure: redirects are never followed."},
    "4XX": {"description": "A failure, tried again later. `410` disables the endpoint. `Retry-After` is honoured."},
    "5XX": {"description": "A failure, tried again later. `Retry-After` is honoured."},
}


def document_webhooks(app: FastAPI) -> None:
    """Declare every public event in the `webhooks` section of the OpenAPI document of `app`."""
    for name, description in PUBLIC_TYPES.items():
        app.webhooks.add_api_route(
            name,
            _receiver_of(MODELS[name]),
            methods=["POST"],
            operation_id="on_" + name.replace(".", "_"),
            summary=description,
            description=f"{description} Signed after Standard Webhooks 1.0.0; verify before you believe it.",
            tags=["Webhooks"],
            status_code=204,
            response_description="Received.",
            responses=_ANSWERS,
        )


def _receiver_of(model: type[EventEnvelope]) -> Any:
    """A function with the signature of a receiver of `model`: never called, only documented."""

    def receive(
        body: Any,
        webhook_id: Annotated[str, Header(max_length=36, description="Id of the event; the same on every retry")],
        webhook_timestamp: Annotated[str, Header(max_length=20, description="Unix seconds of the attempt")],
        webhook_signature: Annotated[
            str, Header(max_length=1000, description="`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`")
        ],
    ) -> None: ...

    receive.__annotations__["body"] = model
    return receive
