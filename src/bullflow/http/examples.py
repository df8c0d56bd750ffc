"""Examples for the contracts."""

from typing import Any

FLOW: dict[str, Any] = {
    "name": "watermark-video",
    "queueName": "flowQueue",
    "data": {"watermarkText": "hello"},
    "opts": {"attempts": 3, "backoff": {"type": "exponential", "delay": 1000}},
    "children": [{"name": "download-video", "queueName": "flowQueue", "data": {"videoId": "42"}}],
}

LIMITS: dict[str, Any] = {"concurrency": 4, "rateLimit": {"max": 100, "duration": 60_000}}
