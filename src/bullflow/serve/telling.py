"""Who is told of what was written: watchers by the news, dispatcher and withdrawer by the bell for work."""

from collections.abc import Sequence

from bullflow.flow.record import Changes
from bullflow.recorder import News
from bullflow.serve.base import Base
from bullflow.service.retry import Plan
from bullflow.store.flows import NewFlow

LINES_TOLD_AT_ONCE = 200
"""Log lines are all kept, but watchers get no more than these of what comes at once."""


def tell_accepted(base: Base, flows: Sequence[NewFlow]) -> None:
    base.handover.give(flows)
    base.work.ring({"accepted": [(flow.id, len(flow.jobs)) for flow in flows]})
    base.news.ring({"flows": [[flow.id, 1] for flow in flows]})


def tell_retried(base: Base, plan: Plan) -> None:
    base.work.ring({"accepted": [(plan.flow_id, len(plan.again) + len(plan.reused))]})
    tell_watchers(base, plan.changes)


def tell_recorded(base: Base, recorded: News) -> None:
    for changes in recorded.changes:
        if changes.entries or changes.progress:
            tell_watchers(base, changes)
        if any(flow.withdraw_due for flow in changes.flows):
            base.work.ring({"ended": True})
    if recorded.lines:
        told = recorded.lines[-LINES_TOLD_AT_ONCE:]
        base.news.ring({"lines": [[line.flow_id, line.id, line.n, line.run, line.at, line.line] for line in told]})


def tell_recovered(base: Base, changes: Changes) -> None:
    """Flows go on after the engine has lost something of them: they are dispatched again."""
    tell_watchers(base, changes)
    tell_withdrawer(base)
    base.work.ring({"accepted": [(flow.id, sum(flow.counts.values())) for flow in changes.flows if flow.dispatch_due]})


def tell_suspicion(base: Base, reason: str) -> None:
    """Whoever leads compares everything with the engine."""
    base.work.ring({"suspect": reason})


def tell_ended(base: Base, changes: Changes) -> None:
    """Flows were ended by a decision: who watches is told, and the leader withdraws them."""
    tell_watchers(base, changes)
    tell_withdrawer(base)


def tell_watchers(base: Base, changes: Changes) -> None:
    for written in base.watching:
        written(changes.entries)
    base.news.ring(
        {
            "flows": [[flow.id, flow.last_seq] for flow in changes.flows],
            "progress": [[job.flow_id, job.id, job.progress.text] for job in changes.progress if job.progress],
        }
    )


def tell_withdrawer(base: Base) -> None:
    """There are flows to take out of the engine."""
    base.work.ring({"ended": True})
