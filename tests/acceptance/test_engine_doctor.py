"""`bullflow doctor --engine`: what the engine has lost is told, and mended, once, however many repair."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from bullflow import AsyncClient
from support.eventually import eventually
from support.handlers import a_sum_of
from support.processes import Processes, processes
from support.servers import Valkey


async def doctor(run: Processes, *words: str) -> tuple[int, str]:
    process = run.start("doctor", "--engine", *words)
    lines = process.lines()
    return process.ended(), "\n".join(lines)


async def dispatched(client: AsyncClient, flow_id: str) -> None:
    async for entry in client.watch(flow_id, after=0):
        if getattr(entry, "event", None) == "flow.dispatched":
            return


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_the_doctor_tells_what_the_engine_has_lost_and_two_repairs_at_once_mend_it_once(
    store_url: str, data_dir: Path, tmp_path: Path
) -> None:
    async with Valkey(data_dir) as valkey, Redis.from_url(valkey.url) as engine:
        with processes(tmp_path / "logs", database_url=store_url, redis_url=valkey.url, lease="1") as run:
            _, url = run.start_ready("api", "--port", "0")
            recorder, _ = run.start_ready("recorder")
            async with AsyncClient(url) as client:
                flows = [await client.create(a_sum_of(index, 1, 2)) for index in range(3)]
                for flow in flows:
                    await dispatched(client, flow.id)
                well = await doctor(run)

                async def marked() -> bool:
                    return bool(await engine.exists("bullflow:bull:mark"))

                await eventually(marked)
                recorder.kill()
                await engine.flushall()
                ill = await doctor(run)
                repairs = [run.start("doctor", "--engine", "--repair") for _ in range(2)]
                said = ["\n".join(repair.lines()) for repair in repairs]

                assert well[0] == 0, well[1]
                assert "3 flows with 12 jobs compared, none differs" in well[1]
                assert ill[0] == 1
                assert "3 flows with 12 jobs compared, 3 differ" in ill[1]
                assert f"{flows[0].id} │ 4 jobs not in the engine" in ill[1]
                assert "No recorder is running, so nothing is recorded or mended: start one, or say --repair." in ill[1]
                assert [repair.ended() for repair in repairs] == [0, 0], said
                assert all("✓ repaired: the engine has what the store says" in one for one in said) or any(
                    "none differs" in one for one in said
                ), said

                run.start_ready("recorder")
                run.start("worker", "tests.support.handlers:worker")
                ended = [await client.wait(flow.id, timeout=30) for flow in flows]
                assert [flow.result for flow in ended] == [3, 4, 5]
                for flow in flows:
                    jobs = await client.jobs(flow.id)
                    assert {job.job_id.rpartition("-")[2] for job in jobs.items} == {"2"}


@pytest.mark.parametrize("databases", ["postgres"], indirect=True)
async def test_a_repair_without_a_recorder_ends_when_the_engine_has_what_was_lost_again(
    store_url: str, data_dir: Path, tmp_path: Path
) -> None:
    """What is left of the lost run is withdrawn first, and that takes a moment."""
    async with Valkey(data_dir) as valkey, Redis.from_url(valkey.url, decode_responses=True) as engine:
        with processes(tmp_path / "logs", database_url=store_url, redis_url=valkey.url, lease="1") as run:
            _, url = run.start_ready("api", "--port", "0")
            recorder, _ = run.start_ready("recorder")
            async with AsyncClient(url) as client:
                flow = await client.create(a_sum_of(1, 2, 3))
                await dispatched(client, flow.id)
                recorder.kill()
                lost = str(await engine.lpop("bull:sums:wait"))
                await engine.delete(f"bull:sums:{lost}")

                code, said = await doctor(run, "--repair")
                after = sorted(await engine.lrange("bull:sums:wait", 0, -1))

                assert code == 0, said
                assert "1 differs" in said
                assert "✓ repaired: the engine has what the store says" in said
                assert after == sorted(f"{job.id}-2" for job in flow.jobs if job.name == "number")
