"""The flow of the demo. `flow.json` is the same, for the command line."""

from typing import Any

QUEUE = "flowQueue"


def video_flow(video_id: str = "sample", text: str = "My Watermark") -> dict[str, Any]:
    """Download a clip twice, make a thumbnail of the one and a watermarked copy of the other."""
    download = {"name": "download-video", "queueName": QUEUE, "data": {"videoId": video_id}, "opts": {"attempts": 3}}
    thumbnail = {"name": "generate-thumbnail", "queueName": QUEUE, "children": [download]}
    return {
        "name": "watermark-video",
        "queueName": QUEUE,
        "data": {"watermarkText": text},
        "children": [download, thumbnail],
    }
