"""How often the engine's mark is made greater."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from bullflow.auditor import Auditor
from bullflow.engine.connection import connect
from bullflow.engine.remover import Remover
from bullflow.flow.facts import Fact
from bullflow.store.database import Database
from bullflow.store.transaction import Transaction
from bullflow.telemetry import logger
from support.flows import HandClock
from support.queues import Bull


class Recording:
    """A recorder that has nothing to record."""

    async def caught_up(self) -> None: ...

    def hold(self, transaction: Transaction) -> None: ...

    async def settle(self, facts: Sequence[tuple[str, Fact]]) -> None: ...


@pytest_asyncio.fixture
async def deaf(bull: Bull) -> AsyncIterator[Any]:
    """A client that may not ask the server about itself."""
    user = f"deaf-{bull.prefix}"
    await bull.client.acl_setuser(user, enabled=True, passwords=["+x"], keys="*", commands=["+@all", "-info"])
    client = connect(bull.url.replace("unix://", f"unix://{user}:x@"), "test")
    yield client
    await client.aclose()
    await bull.client.acl_deluser(user)


def auditor_of(database: Database, client: Any, bull: Bull, losses: list[str] | None = None) -> Auditor:
    async def lost() -> None:
        (losses if losses is not None else []).append("found out")

    auditor = Auditor(
        database,
        client,
        bull.prefix,
        remover=Remover(client, bull.prefix, origin="test"),
        clock=HandClock(),
        lost=lost,
        changed=lambda _changes: None,
        log=logger("auditor"),
    )
    auditor.begin(Recording())
    return auditor


async def marks(auditor: Auditor, bull: Bull, beats: int) -> int:
    """How many marks so many beats have left."""
    left = set()
    for _ in range(beats):
        await auditor.run_once()
        left.add(await bull.client.get(f"bullflow:{bull.prefix}:mark"))
    return len(left)


async def test_a_mark_that_stands_moves_with_every_other_look(database: Database, bull: Bull) -> None:
    assert await marks(auditor_of(database, bull.client, bull), bull, 10) == 6, "the first at once"


async def test_it_moves_with_every_look_where_the_server_does_not_say_which_life_it_is(
    database: Database, deaf: Any, bull: Bull
) -> None:
    assert await marks(auditor_of(database, deaf, bull), bull, 10) == 10


@pytest.mark.parametrize("is_another", [False, True])
@pytest.mark.parametrize("goes_back", [False, True])
async def test_a_mark_that_is_gone_or_older_is_noticed_by_the_next_look_also_of_another_leader(
    database: Database, bull: Bull, goes_back: bool, is_another: bool
) -> None:
    losses: list[str] = []
    auditor = auditor_of(database, bull.client, bull, losses)
    key = f"bullflow:{bull.prefix}:mark"
    await auditor.run_once()
    early = await bull.client.get(key)
    await auditor.run_once()
    assert await bull.client.get(key) != early

    if goes_back:
        await bull.client.set(key, early)
    else:
        await bull.client.delete(key)
    assert not losses
    await (auditor_of(database, bull.client, bull, losses) if is_another else auditor).run_once()

    assert losses
