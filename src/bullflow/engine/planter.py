"""What adds trees of jobs to BullMQ, as commands for a MULTI.

With the jobs go a longer event stream for each queue, and the bell for queues that this process has not
used before.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta

from bullflow.engine.adding import Parent, add_job, parent_of
from bullflow.engine.envelope import seal
from bullflow.engine.keys import bell_stream, queue_key
from bullflow.engine.transaction import Command
from bullflow.flow.plan import Branch


class Planter:
    """Adds trees, whose jobs the engine keeps for so long after they have ended."""

    def __init__(self, prefix: str, *, keep: timedelta, stream_length: int) -> None:
        self._prefix = prefix
        self._keep_seconds = round(keep.total_seconds())
        self._stream_length = stream_length
        self._queues: set[str] = set()

    def plant(
        self, branches: Sequence[Branch], *, there: AbstractSet[str] = frozenset(), parent: Parent | None = None
    ) -> list[Command]:
        """What adds these trees, each root before what is below it; of a tree that is `there` only the root."""
        queues = queues_of(branches)
        commands: list[Command] = [
            ("HSET", queue_key(self._prefix, queue, "meta"), "opts.maxLenEvents", self._stream_length)
            for queue in queues
        ]
        for branch in branches:
            self._add(branch, parent, commands, alone=branch.job.job_id in there)
        if not queues <= self._queues:
            commands.append(("XADD", bell_stream(self._prefix), "MAXLEN", "~", 100, "*", "queues", len(queues)))
        return commands

    def planted(self, branches: Iterable[Branch]) -> None:
        """The MULTI has been executed: these trees' queues are known."""
        self._queues |= queues_of(branches)

    def _add(self, branch: Branch, parent: Parent | None, commands: list[Command], *, alone: bool = False) -> None:
        is_parent = bool(branch.children or branch.kept)
        opts = seal(branch, self._keep_seconds)
        commands.append(add_job(self._prefix, branch.job, opts, is_parent=is_parent, parent=parent))
        if branch.children and not alone:
            own = parent_of(self._prefix, branch.job.queue_name, branch.job.job_id)
            for child in branch.children:
                self._add(child, own, commands)


def queues_of(branches: Iterable[Branch]) -> set[str]:
    """The queues of all jobs that are to be added."""
    return {job.queue_name for branch in branches for job in branch.jobs()}
