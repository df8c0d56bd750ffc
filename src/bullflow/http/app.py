"""The HTTP application: routes, errors and contracts."""

import asyncio
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from bullflow import wire
from bullflow.http import accounts, control, creating, events, flows, health, live, pages, problems, queues
from bullflow.http.callers import COOKIE
from bullflow.http.headers import SafeHeaders
from bullflow.http.links import link
from bullflow.http.origins import OwnOrigins
from bullflow.http.rooms import Rooms

_ABOUT = """\
Flows are trees of jobs on BullMQ queues: a parent runs after its children and gets their return values.

Create a flow with `POST /flows`, watch it over the WebSocket `/ws` or as server-sent events, and read
its history for ever after. Errors are `application/problem+json` (RFC 9457) with every fault at once.
"""


class App(FastAPI):
    """FastAPI with models in its contract that no route names in its signature, and safe headers on every answer."""

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
                    (wire.SignIn, "validation"),
                    (wire.Problem, "serialization"),
                ],
                ref_template="#/components/schemas/{model}",
            )
            schema.setdefault("components", {}).setdefault("schemas", {}).update(extra["$defs"])
            _drop_default_validation_errors(schema)
            _tell_who_may(schema)
            link(schema)
            self.openapi_schema = schema
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        # Around what answers for a fault as well, which Starlette has outside of all middleware.
        return SafeHeaders(super().build_middleware_stack())


def create_app(rooms: Rooms) -> FastAPI:
    """The application over these rooms."""
    pages.loaded(pages.STATIC)
    app = routed()
    app.state.rooms = rooms
    app.state.stopping = asyncio.Event()  # set by the server; what would stay open ends then
    settings = rooms.settings
    app.add_middleware(
        OwnOrigins, host=settings.host, allowed_hosts=settings.allowed_hosts, allowed_origins=settings.cors_origins
    )
    if settings.cors_origins:
        # Without cookies: pages of other sites show a token.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After"],
        )
    return app


def routed() -> App:
    """The application with its routes and without rooms: it can tell its contract, and answer nothing."""
    app = App(title="bullflow", version=version("bullflow"), description=_ABOUT, redoc_url=None)
    for part in (creating, flows, control, queues, events, accounts, health, live, pages):
        app.include_router(part.router)
    problems.install(app)
    return app


def _tell_who_may(schema: dict[str, Any]) -> None:
    """Every route that can refuse with 401 wants a token or a session; without tokens none does."""
    schema["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token, as `bullflow tokens create` prints it."},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Of a browser, by `/session`."},
    }
    for path in schema["paths"].values():
        for operation in path.values():
            if "401" in operation["responses"]:
                operation.setdefault("security", [{"token": []}, {"session": []}, {}])


def _drop_default_validation_errors(schema: dict[str, Any]) -> None:
    """FastAPI documents its own 422 body; ours is a problem."""
    for path in schema["paths"].values():
        for operation in path.values():
            answer = operation.get("responses", {}).get("422", {})
            if "application/json" in answer.get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
