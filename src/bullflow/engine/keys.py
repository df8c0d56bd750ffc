"""The names of keys: BullMQ's as BullMQ makes them, and the few of our own."""

import re
from base64 import b64encode

from bullflow.flow.tree import ID

OURS = re.compile(rf"{ID.pattern}-[1-9][0-9]{{0,8}}")
"""A BullMQ job id that bullflow made: the job's id and the number of the run."""

TELLS_LINES = "bullflowTellsLines"
"""A field of a job's hash: its worker tells each log line in the event stream."""

HAS_GROWN = "bullflowHasGrown"
"""A field of a job's hash: it has added children while it ran."""

CANCELLED = "cancelled"
"""What BullMQ's field `defa` says of a job that was taken back, and so why it fails."""


def queue_key(prefix: str, queue_name: str, part: str) -> str:
    """A key of a queue: `bull:flowQueue:events`; with a job's id as `part`, the job's own key."""
    return f"{prefix}:{queue_name}:{part}"


def job_of(job_key: str) -> str:
    """The BullMQ id at the end of a job's key."""
    return job_key.rpartition(":")[2]


def worker_name(prefix: str, queue_name: str, worker_id: str) -> str:
    """What a worker calls its connection, as Node's workers do, whose `getWorkers` finds it by that.

    A queue's name may hold what no name of a connection can, so it is written in base64.
    """
    return f"{node_client_name(prefix, queue_name)}:w:{worker_id}"


def busy_worker_name(prefix: str, queue_name: str, worker_id: str) -> str:
    """What a worker of ours calls the connection by which it takes and ends jobs.

    The other one is there only once the worker has waited for work, and a worker may be busy from its start.
    """
    return f"{node_client_name(prefix, queue_name)}:c:{worker_id}"


def node_client_name(prefix: str, queue_name: str) -> str:
    """What BullMQ for Node calls the connections for a queue; a worker with a name adds `:w:` and the name."""
    return f"{prefix}:{b64encode(queue_name.encode()).decode()}"


def python_client_name(prefix: str, queue_name: str) -> str:
    """What BullMQ for Python calls them."""
    return f"{prefix}:{queue_name}"


def bell_stream(prefix: str) -> str:
    """Rung when a queue is used for the first time, so that the recorder reads its stream at once."""
    return f"bullflow:{prefix}:bell"


def grown_stream(prefix: str) -> str:
    """Where workers tell which jobs they have added to a flow."""
    return f"bullflow:{prefix}:grown"


def news_channel(prefix: str) -> str:
    """Where the recorder tells which flows have new log entries."""
    return f"bullflow:{prefix}:news"


def work_channel(prefix: str) -> str:
    """Where an api process tells the dispatcher that there is a flow to dispatch."""
    return f"bullflow:{prefix}:work"


def aborts_channel(prefix: str) -> str:
    """Where workers are told which running jobs to abort."""
    return f"bullflow:{prefix}:aborts"


def mark_key(prefix: str) -> str:
    """A number that only grows, as long as the engine forgets nothing."""
    return f"bullflow:{prefix}:mark"


def probe_key(prefix: str) -> str:
    """Written to see whether the engine takes anything."""
    return f"bullflow:{prefix}:probe"


def withdrawn_key(prefix: str, root_job_id: str) -> str:
    """Stands while a flow's run has been taken back, so that who read the store before that does not dispatch it."""
    return f"bullflow:{prefix}:withdrawn:{root_job_id}"


def asks_list(prefix: str) -> str:
    """Where workers ask for what the engine has forgotten."""
    return f"bullflow:{prefix}:asks"


def answer_key(prefix: str, ask: str) -> str:
    """Where the answer to a question is left."""
    return f"bullflow:{prefix}:answer:{ask}"
