"""Users and tokens when much is asked at the same moment."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from bullflow.errors import Conflict, StoreAway, Unauthenticated
from bullflow.flow.access import USUAL
from bullflow.service.access import Access, Secret
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


@pytest.fixture
def uses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which tokens were noted as used."""
    noted: list[str] = []
    used = tokens.used

    async def noting(connection: Transaction, token_id: str, at: int) -> None:
        noted.append(token_id)
        await used(connection, token_id, at)

    monkeypatch.setattr(tokens, "used", noting)
    return noted


async def let_in(database: Database, clock: HandClock) -> tuple[Access, Secret]:
    """Access to a store with one user, and its token."""
    await accounts_of(database).create_user("alice")
    secret = await accounts_of(database).create_token("alice", USUAL, None)
    return Access(database, clock=clock, session_length=timedelta(days=1), stands_for=None), secret


async def test_many_who_show_the_same_token_at_once_cost_one_look_and_one_note(
    stores: list[Database], looks: list[str], uses: list[str]
) -> None:
    clock = HandClock()
    access, secret = await let_in(stores[0], clock)

    asking = [asyncio.create_task(access.caller(secret.text)) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    callers = await asyncio.gather(*asking[1:])

    assert {caller.name for caller in callers} == {"alice"}
    assert looks == [secret.id]
    assert uses == [secret.id]
    wrong = secret.text[:-1] + ("A" if secret.text[-1] != "A" else "B")
    clock.forward(timedelta(minutes=1))
    answers = await asyncio.gather(access.caller(wrong), access.caller(secret.text), return_exceptions=True)
    assert isinstance(answers[0], Unauthenticated)
    assert looks == [secret.id, secret.id]


async def test_a_look_that_fails_when_all_have_left_is_nobodys_error(
    stores: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    access, secret = await let_in(stores[0], HandClock())
    looking, goes_on = asyncio.Event(), asyncio.Event()
    complaints: list[dict[str, Any]] = []

    async def failing(_: Transaction, key: str) -> Credential | None:
        looking.set()
        await goes_on.wait()
        raise StoreAway(key)

    monkeypatch.setattr(tokens, "token", failing)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    asking = asyncio.create_task(access.caller(secret.text))
    await looking.wait()
    (look,) = access._looking.values()
    asking.cancel()
    await asyncio.wait([asking])
    goes_on.set()
    await asyncio.wait([look])
    assert isinstance(look.exception(), StoreAway)
    del look
    gc.collect()

    assert complaints == []


async def test_what_was_looked_up_before_a_session_was_closed_opens_nothing_after_it(
    stores: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock()
    access, secret = await let_in(stores[0], clock)
    session = await access.sign_in(secret.text)
    await access.caller(session.text)
    closing, may_close, looked, may_know = (asyncio.Event() for _ in range(4))
    look, close = tokens.session, tokens.close_session

    async def slow_close(connection: Transaction, key: str) -> bool:
        closing.set()
        await may_close.wait()
        return await close(connection, key)

    async def slow_look(connection: Transaction, key: str) -> Credential | None:
        found = await look(connection, key)
        looked.set()
        await may_know.wait()
        return found

    monkeypatch.setattr(tokens, "close_session", slow_close)
    leaving = asyncio.create_task(access.sign_out(session.text))
    await closing.wait()
    clock.forward(timedelta(seconds=3))
    monkeypatch.setattr(tokens, "session", slow_look)
    asking = asyncio.create_task(access.caller(session.text))
    await looked.wait()
    may_close.set()
    await leaving
    may_know.set()

    assert (await asking).name == "alice"
    with pytest.raises(Unauthenticated):
        await access.caller(session.text)
