"""Plans that Postgres keeps for statements that come again must stay right when a small table has grown."""

import pytest
from sqlalchemy import text

from bullflow.store.database import Database

NARROW = "SELECT status FROM flow_jobs WHERE job_id = ANY(ARRAY['a-1', 'b-1'])"
BY_KEY = "SELECT 1 FROM ONLY flows WHERE id = 'a' FOR KEY SHARE"
"""As Postgres itself looks when a row refers to a flow."""


@pytest.mark.parametrize("databases", ["postgres"], indirect=True)
@pytest.mark.parametrize("statement", [NARROW, BY_KEY])
async def test_an_index_is_used_also_while_a_table_is_so_small_that_reading_it_whole_is_cheaper(
    database: Database, statement: str
) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("ANALYZE flows"))
        await transaction.execute(text("ANALYZE flow_jobs"))
    for opened in (database.write, database.read):
        async with opened() as transaction:
            plan = "\n".join(await transaction.scalars(text(f"EXPLAIN {statement}")))
            assert "Seq Scan" not in plan, plan
            assert "Index" in plan
