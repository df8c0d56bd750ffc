"""The service as processes: `up`, `api`, `recorder`."""

from bullflow.serve.commands import api, recorder, up, upgrade
from bullflow.serve.examining import Examination, examine_engine, repair_engine
from bullflow.serve.managing import managing, missing_file

__all__ = [
    "Examination",
    "api",
    "examine_engine",
    "managing",
    "missing_file",
    "recorder",
    "repair_engine",
    "up",
    "upgrade",
]
