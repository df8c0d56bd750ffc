"""The worker SDK: what a process needs that runs handlers. It knows the engine, never the store."""

from bullflow.worker.job import Job
from bullflow.worker.worker import Worker, run_workers

__all__ = ["Job", "Worker", "run_workers"]
