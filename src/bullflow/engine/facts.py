"""What kind of engine is this?"""

from dataclasses import dataclass

from redis.asyncio import Redis

from bullflow.engine.connection import away


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What matters to BullMQ and to us."""

    server: str
    version: str
    redis_version: tuple[int, int]
    """The Redis version that it is compatible with."""
    eviction: str
    persistent: bool


async def engine_facts(client: Redis) -> EngineFacts:
    """Ask; raises EngineAway."""
    async with away():
        info = await client.info()
    redis_version = str(info.get("redis_version", "0.0"))
    major, minor, *_ = (int(part) for part in redis_version.split("."))
    saves = int(info.get("rdb_last_save_time", 0)) > 0 and int(info.get("rdb_saves", 0)) > 0
    return EngineFacts(
        server=str(info.get("server_name", "redis")),
        version=str(info.get("valkey_version", redis_version)),
        redis_version=(major, minor),
        eviction=str(info.get("maxmemory_policy", "noeviction")),
        persistent=bool(int(info.get("aof_enabled", 0))) or saves,
    )
