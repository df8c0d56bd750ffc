"""bullflow: flows on BullMQ queues.

Workers need `Worker`, `Job` and `UnrecoverableError`; callers need `Client` or `AsyncClient`.
The service itself is in the `server` extra and is started with the `bullflow` command.
"""

from bullflow.client import AsyncClient, Client
from bullflow.errors import ApiError, BullflowError, Invalid, JobCancelled, JobFailure, ServiceAway, UnrecoverableError
from bullflow.worker import Job, Worker

__all__ = [
    "ApiError",
    "AsyncClient",
    "BullflowError",
    "Client",
    "Invalid",
    "Job",
    "JobCancelled",
    "JobFailure",
    "ServiceAway",
    "UnrecoverableError",
    "Worker",
]
