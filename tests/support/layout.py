"""All that lies in an engine under a prefix, in a shape in which two prefixes can be compared."""

from typing import Any

import orjson

from support.queues import Bull

_JSON_FIELDS = ("data", "opts", "parent")


async def laid_out(bull: Bull, prefix: str) -> dict[str, Any]:
    """Every key with what it holds; prefixes are written as `~`, and of streams the ids are left out."""
    found: dict[str, Any] = {}
    async for key in bull.client.scan_iter(f"{prefix}:*", count=1000):
        found[key.replace(prefix, "~")] = _comparable(await _held(bull, key), prefix)
    return found


async def _held(bull: Bull, key: str) -> Any:
    match await bull.client.type(key):
        case "hash":
            fields = await bull.client.hgetall(key)
            # How long the stream may grow is not BullMQ's to say here.
            fields.pop("opts.maxLenEvents", None)
            return {name: orjson.loads(text) if name in _JSON_FIELDS else text for name, text in fields.items()}
        case "list":
            return await bull.client.lrange(key, 0, -1)
        case "set":
            return sorted(await bull.client.smembers(key))
        case "zset":
            return await bull.client.zrange(key, 0, -1, withscores=True)
        case "stream":
            return [fields for _, fields in await bull.client.xrange(key)]
        case _:
            return await bull.client.get(key)


def _comparable(value: Any, prefix: str) -> Any:
    return orjson.loads(orjson.dumps(value).replace(prefix.encode(), b"~"))
