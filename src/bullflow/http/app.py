"""The HTTP application: routes, errors and contracts."""

import asyncio
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from bullflow import wire
from bullflow.http import control, creating, events, flows, health, live, pages, problems, queues
from bullflow.http.origins import OwnOrigins
from bullflow.http.rooms import Rooms

_ABOUT = """\
Flows are trees of jobs on BullMQ queues: a parent runs after its children and gets their return values.

Create a flow with `POST /flows`, watch it over the WebSocket `/ws` or as server-sent events, and read
its history for ever after. Errors are `application/problem+json` (RFC 9457) with every fault at once.
"""


class App(FastAPI):
    """FastAPI with the models in its contract that no route names in its signature."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schema = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            _, extra = models_json_schema(
                [
                    (wire.FlowIn, "validation"),
                    (wire.FlowsIn, "validation"),
                    (wire.RetryIn, "validation"),
                    (wire.QueueLimitsIn, "validation"),
                    (wire.Problem, "serialization"),
                ],
                ref_template="#/components/schemas/{model}",
            )
            schema.setdefault("components", {}).setdefault("schemas", {}).update(extra["$defs"])
            _drop_default_validation_errors(schema)
            self.openapi_schema = schema
        return self.openapi_schema


def create_app(rooms: Rooms) -> FastAPI:
    """The application over these rooms."""
    pages.loaded(pages.STATIC)
    app = routed()
    app.state.rooms = rooms
    app.state.stopping = asyncio.Event()  # set by the server; what would stay open ends then
    settings = rooms.settings
    app.add_middleware(OwnOrigins, host=settings.host, allowed_hosts=settings.allowed_hosts)
    return app


def routed() -> App:
    """The application with its routes and without rooms: it can tell its contract, and answer nothing."""
    app = App(title="bullflow", version=version("bullflow"), description=_ABOUT, redoc_url=None)
    for part in (creating, flows, control, queues, events, health, live, pages):
        app.include_router(part.router)
    problems.install(app)
    return app


def _drop_default_validation_errors(schema: dict[str, Any]) -> None:
    """FastAPI documents its own 422 body; ours is a problem."""
    for path in schema["paths"].values():
        for operation in path.values():
            answer = operation.get("responses", {}).get("422", {})
            if "application/json" in answer.get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
