"""Users and tokens when much is asked at the same moment."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from bullflow.errors import Conflict, Unauthenticated
from bullflow.flow.access import USUAL
from bullflow.service.access import Access
from bullflow.service.accounts import Accounts
from bullflow.store import tokens
from bullflow.store.database import Database
from bullflow.store.tokens import Credential
from bullflow.store.transaction import Transaction
from support.flows import HandClock


@pytest_asyncio.fixture
async def stores(store_url: str) -> AsyncIterator[list[Database]]:
    """Of several processes."""
    async with AsyncExitStack() as stack:
        opened = [Database(store_url) for _ in range(4)]
        for database in opened:
            stack.push_async_callback(database.close)
        yield opened


def accounts_of(database: Database) -> Accounts:
    clock = HandClock()
    return Accounts(database, clock=clock, new_id=clock.new_id)


async def test_of_many_who_make_the_same_user_one_does(stores: list[Database]) -> None:
    made = await asyncio.gather(
        *(accounts_of(database).create_user("alice", [f"{place}-*"]) for place, database in enumerate(stores)),
        return_exceptions=True,
    )

    (winner,) = (place for place, account in enumerate(made) if not isinstance(account, BaseException))
    assert all(isinstance(error, Conflict) for place, error in enumerate(made) if place != winner)
    (alice,) = [user for user in await accounts_of(stores[0]).users() if user.name == "alice"]
    assert alice.queues == (f"{winner}-*",)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked up of tokens."""
    asked: list[str] = []
    look: Callable[[Transaction, str], Coroutine[Any, Any, Credential | None]] = tokens.token

    async def noted(connection: Transaction, key: str) -> Credential | None:
        asked.append(key)
        return await look(connection, key)

    monkeypatch.setattr(tokens, "token", noted)
    return asked


async def test_many_who_show_the_same_token_at_once_cost_one_look(stores: list[Database], looks: list[str]) -> None:
    database, clock = stores[0], HandClock()
    await accounts_of(database).create_user("alice")
    secret = await accounts_of(database).create_token("alice", USUAL, None)
    access = Access(database, clock=clock, session_length=timedelta(days=1), stands_for=None)

    asking = [asyncio.create_task(access.caller(secret.text)) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    callers = await asyncio.gather(*asking[1:])

    assert {caller.name for caller in callers} == {"alice"}
    assert looks == [secret.id]
    wrong = secret.text[:-1] + ("A" if secret.text[-1] != "A" else "B")
    clock.forward(timedelta(minutes=1))
    answers = await asyncio.gather(access.caller(wrong), access.caller(secret.text), return_exceptions=True)
    assert isinstance(answers[0], Unauthenticated)
    assert looks == [secret.id, secret.id]
