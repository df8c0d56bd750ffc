"""The service as processes: `up`, `api`, `recorder`."""

from bullflow.serve.commands import api, recorder, up, upgrade
from bullflow.serve.examining import Examination, examine_engine, repair_engine

__all__ = ["Examination", "api", "examine_engine", "recorder", "repair_engine", "up", "upgrade"]
