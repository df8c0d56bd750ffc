"""The service as processes: `up`, `api`, `recorder`."""

from bullflow.serve.commands import api, recorder, up, upgrade

__all__ = ["api", "recorder", "up", "upgrade"]
