"""Whether anybody could come in."""

from datetime import timedelta

from bullflow.flow.access import USUAL
from bullflow.service.accounts import Accounts
from bullflow.store import tokens
from bullflow.store.database import Database
from support.flows import HandClock


async def test_somebody_comes_in_with_a_token_that_is_neither_over_nor_revoked_nor_of_a_disabled_user(
    database: Database,
) -> None:
    clock = HandClock()
    accounts = Accounts(database, clock=clock, new_id=clock.new_id)

    async def anybody() -> bool:
        return await database.look(tokens.any_opens, clock())

    await accounts.create_user("alice", [])
    assert not await anybody()
    await accounts.create_token("alice", USUAL, timedelta(hours=1))
    assert await anybody()
    clock.forward(timedelta(hours=1))
    assert not await anybody()

    await accounts.create_token("alice", USUAL, None)
    assert await anybody()
    await accounts.set_disabled("alice", True)
    assert not await anybody()

    await accounts.create_user("bob", [])
    await accounts.create_token("bob", USUAL, None)
    assert await anybody()
    for token in await accounts.tokens("bob"):
        await accounts.revoke(token.id)
    assert not await anybody()
