"""The video flow: download, thumbnail, watermark. `bullflow up examples.video:worker` serves it."""

from examples.video.handlers import worker

__all__ = ["worker"]
