"""Users of a service that asks for tokens, each with ways to talk to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from bullflow import serve
from bullflow.flow.access import USUAL, Scope
from bullflow.settings import Settings
from support.service import JSON, Service

ADMIN = frozenset(Scope)


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A user with a token. `token_id` is what operators know of it."""

    name: str
    token: str
    token_id: str
    http: httpx.AsyncClient

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def create(self, flow: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = await self.http.post("/flows", json=flow, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        created: dict[str, Any] = answer.json()
        return created


async def add_user(settings: Settings, name: str, queues: Sequence[str] = ()) -> None:
    async with serve.managing(settings) as accounts:
        await accounts.create_user(name, queues)


async def add_token(settings: Settings, name: str, scopes: frozenset[Scope] = USUAL) -> tuple[str, str]:
    """The token, and its id."""
    async with serve.managing(settings) as accounts:
        secret = await accounts.create_token(name, scopes, None)
    return secret.text, secret.id


async def revoke(settings: Settings, token_id: str) -> None:
    async with serve.managing(settings) as accounts:
        await accounts.revoke(token_id)


@asynccontextmanager
async def tenant(
    service: Service, name: str, *, scopes: frozenset[Scope] = USUAL, queues: Sequence[str] = ()
) -> AsyncIterator[Tenant]:
    """A new user of this service."""
    await add_user(service.settings, name, queues)
    async with with_token(service, name, scopes=scopes) as made:
        yield made


@asynccontextmanager
async def with_token(service: Service, name: str, *, scopes: frozenset[Scope] = USUAL) -> AsyncIterator[Tenant]:
    """A user that is there, with a new token."""
    token, token_id = await add_token(service.settings, name, scopes)
    headers = {**JSON, "Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=service.url, timeout=60, headers=headers, verify=False) as http:
        yield Tenant(name=name, token=token, token_id=token_id, http=http)
