"""Long lists of values that travel as one parameter."""

import pytest
from sqlalchemy import Select, select

from bullflow.store import streams
from bullflow.store.database import Database
from bullflow.store.sql import each_number, one_of
from bullflow.store.tables import StreamPosition
from bullflow.store.transaction import Transaction


@pytest.mark.parametrize("size", [0, 1, 20_000])
async def test_one_of_takes_any_number_of_values(database: Database, size: int) -> None:
    names = [f"queue-{number}" for number in range(size)]
    async with database.write() as transaction:
        await streams.know(transaction, ["queue-0", "other", "queue-19999"])

    async with database.read() as snapshot:
        found = await snapshot.scalars(_names_among(snapshot, names))

    assert sorted(found) == sorted({"queue-0", "queue-19999"} & set(names))


async def test_not_one_of_leaves_out_every_value_and_without_values_nothing(database: Database) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, ["a", "b", "c"])

    async with database.read() as snapshot:
        without_two = await snapshot.scalars(_names_among(snapshot, ["a", "b"], wanted=False))
        without_none = await snapshot.scalars(_names_among(snapshot, [], wanted=False))

    assert list(without_two) == ["c"]
    assert sorted(without_none) == ["a", "b", "c"]


async def test_one_of_finds_any_text(database: Database) -> None:
    names = ["it's", 'a "quote"', "[]", '"]', "%s", ":name", "?", "{}", "ünï", "日本", "\\", "\t", "'; --", ""]
    async with database.write() as transaction:
        await streams.know(transaction, [*names, "other"])

    async with database.read() as snapshot:
        found = [list(await snapshot.scalars(_names_among(snapshot, [name]))) for name in names]

    assert found == [[name] for name in names]


async def test_numbers_by_key_arrive_as_a_table(database: Database) -> None:
    numbers = {"a": 0, 'the "b"': 2_147_483_647, "c": 7}

    async with database.read() as snapshot:
        table = each_number(snapshot, numbers)
        found = {row.key: row.number for row in await snapshot.execute(table.select())}

    assert found == numbers


def _names_among(connection: Transaction, names: list[str], *, wanted: bool = True) -> Select[str]:
    among = one_of(connection, StreamPosition.queue_name, names)
    return select(StreamPosition.queue_name).where(among if wanted else ~among)
