"""What is wrong after a run: the service's record against the oracle, handlers' notes and watchers' receipts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

from chaos import oracle
from chaos.clients import Order, Watch
from chaos.notes import Note
from chaos.reading import ENDED, Json, Told
from chaos.ring import Account
from chaos.saboteur import Strike
from chaos.schedule import Verb

JOB_ENDS = ("job.completed", "job.failed", "job.cancelled")
FLOW_ENDS = ("flow.completed", "flow.failed", "flow.cancelled")
SLACK = 2.0
"""Seconds that a start may lie behind the record of the job's end: the clocks and the workers' pipelines."""
UNNOTICED = 3.0
"""Seconds within which the engine's step back in time may go unnoticed, so that recorded jobs run again."""
NEEDED = frozenset({"recorder", "engine", "database", "up", "all"})
HEARS = frozenset({"engine", "up", "all"})
AWAKE = 2.0
"""Seconds in which a worker that slept gets to what it was about to do."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """Faults by kind, each as a sentence. What is in `excused` is allowed, and told all the same."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    excused: Counter[str] = field(default_factory=Counter)

    def by_kind(self) -> Mapping[str, Sequence[str]]:
        return {
            "lost": self.lost,
            "duplicated": self.duplicated,
            "wrong": self.wrong,
            "gaps": self.gaps,
            "watchers' misses": self.missed,
            "other": self.other,
        }

    def lines(self) -> list[str]:
        return [f"{kind}: {line}" for kind, lines in self.by_kind().items() for line in lines]

    def all_is_well(self) -> bool:
        return not self.lines()


def find(account: Account, notes: Sequence[Note]) -> Findings:
    found = Findings()
    for order in account.orders:
        _order(order, account, found)
    known = {order.id for order in account.orders}
    for flow_id, times in Counter(account.reading.listed).items():
        if flow_id not in known or times > 1:
            found.duplicated.append(f"the flow {flow_id} was made twice: no client knows it, or it is listed twice")
    _starts(account, notes, found)
    for line in account.ended_by_themselves:
        if "after it had worked" in line:
            found.other.append(line)
        else:
            found.excused["ended before it worked, and was started again"] += 1
    return found


def _order(order: Order, account: Account, found: Findings) -> None:
    name = f"{order.plan.tag} ({order.id})"
    if order.refused is not None:
        found.other.append(f"{name} was refused: {order.refused}")
    elif order.id is None:
        found.lost.append(f"{name} was never accepted, after {order.posts} requests")
    elif order.id not in account.reading.flows:
        found.lost.append(f"{name} was accepted and is not there")
    else:
        told = account.reading.flows[order.id]
        _state(name, order, told, account, found)
        _log(name, told, found)
        for watch in order.watches:
            _watch(name, watch, told, found)


def _state(name: str, order: Order, told: Told, account: Account, found: Findings) -> None:
    """The flow's and its jobs' states and results against the oracle's."""
    verdicts = oracle.judge(order.plan.body)
    if len(verdicts) != len(told.jobs):
        found.wrong.append(f"{name} has {len(told.jobs)} jobs instead of {len(verdicts)}")
        return
    if told.flow["status"] not in ENDED:
        why = account.reading.explained.get(told.flow["id"], "")
        found.lost.append(f"{name} has not ended: {told.flow['status']}, {told.flow['counts']}; {why}")
        return
    was_cancelled = order.cancelled_at is not None
    if not (was_cancelled and told.flow["status"] == "cancelled") and not _is_right(verdicts[0], told.flow):
        found.wrong.append(f"{name} is {_shown(told.flow)}, not {verdicts[0]}")
    for verdict, job in zip(verdicts, told.jobs, strict=True):
        allowed = replace(verdict, may_be_cancelled=verdict.may_be_cancelled or was_cancelled)
        _job(f"{name} job {verdict.label} ({job['jobId']})", allowed, job, found)


def _job(name: str, verdict: oracle.Verdict, job: Json, found: Findings) -> None:
    if job["data"]["label"] != verdict.label:
        found.wrong.append(f"{name} stands where another should")
    elif job["status"] not in ENDED:
        found.lost.append(f"{name} has not ended: {job['status']}")
    elif job["status"] == "cancelled" and verdict.may_be_cancelled:
        found.excused["jobs cancelled, with their flow or by a parent that ended without them"] += 1
    elif not _is_right(verdict, job):
        found.wrong.append(f"{name} is {_shown(job)}, not {verdict}")


def _is_right(verdict: oracle.Verdict, it: Json) -> bool:
    return (it["status"], it["result"]) == (verdict.status, verdict.result)


def _shown(it: Json) -> str:
    return f"{it['status']} {it['result'] if it['result'] is not None else it['error']}"


def _log(name: str, told: Told, found: Findings) -> None:
    """The log alone: numbered without gaps, one end a run, and the same story as the states."""
    numbers = [entry["seq"] for entry in told.entries]
    if numbers != list(range(1, told.flow["lastSeq"] + 1)):
        found.gaps.append(f"{name} has the entries {numbers}, and the last is to be {told.flow['lastSeq']}")
    ends = Counter(entry["jobId"] for entry in told.entries if entry["event"] in JOB_ENDS)
    found.duplicated += [f"{name} has {n} ends of {job_id}" for job_id, n in ends.items() if n > 1]
    flow_ends = [entry["event"] for entry in told.entries if entry["event"] in FLOW_ENDS]
    if told.flow["status"] in ENDED and flow_ends != [f"flow.{told.flow['status']}"]:
        found.duplicated.append(f"{name} is {told.flow['status']}, and its log says {flow_ends}")
    last = {entry["id"]: entry for entry in told.entries if entry["id"] and entry["event"] in JOB_ENDS}
    completed: set[str] = set()
    for entry in told.entries:
        if entry["id"] in completed:
            found.duplicated.append(f"{name} has {entry['event']} of {entry['jobId']} after its completion")
        if entry["event"] == "job.completed":
            completed.add(entry["id"])
    for job in told.jobs:
        if job["status"] in ENDED and not _tells(last.get(job["id"]), job):
            found.wrong.append(
                f"{name}: {job['jobId']} is {job['status']}, and its log ends with {last.get(job['id'])}"
            )


def _tells(entry: Json | None, job: Json) -> bool:
    return (
        entry is not None
        and entry["event"] == f"job.{job['status']}"
        and entry["jobId"] == job["jobId"]
        and entry["data"].get("result") == job["result"]
    )


def _watch(name: str, watch: Watch, told: Told, found: Findings) -> None:
    """A watcher sees the same entries as REST shows, each once and in order, at least to the flow's end."""
    seen = [(receipt.seq, receipt.event, receipt.job_id) for receipt in watch.receipts]
    kept = [(entry["seq"], entry["event"], entry["jobId"]) for entry in told.entries]
    end = next((entry["seq"] for entry in told.entries if entry["event"] in FLOW_ENDS), None)
    found.missed += [f"a watcher of {name} was refused {words}" for words in watch.refused]
    if seen != kept[: len(seen)]:
        place = next(place for place, pair in enumerate(zip(seen, [*kept, None], strict=False)) if pair[0] != pair[1])
        found.missed.append(f"a watcher of {name} saw {seen[place]} as its entry {place + 1}")
    elif end is not None and (len(seen) < end or not watch.is_over):
        found.missed.append(f"a watcher of {name} saw {len(seen)} of {end} entries, over: {watch.is_over}")


def _starts(account: Account, notes: Sequence[Note], found: Findings) -> None:
    """No handler starts for a job whose completion has been recorded, nor for one of a flow that was cancelled."""
    recorded = {
        entry["id"]: datetime.fromisoformat(entry["at"]).timestamp()
        for told in account.reading.flows.values()
        for entry in told.entries
        if entry["event"] == "job.completed"
    }
    cancelled = {
        job["id"]: order.cancelled_at
        for order in account.orders
        if order.cancelled_at is not None and (told := account.reading.flows.get(order.id or ""))
        for job in told.jobs
    }
    for note in notes:
        if note.what == "start":
            if (end := recorded.get(note.job)) is not None:
                _start(note, end, "the record of its end", _excuses(note, account), found)
            if (end := cancelled.get(note.job)) is not None:
                excuses = chain(_excuses(note, account), _unheard(note, end, account))
                _start(note, end, "the answer that its flow is cancelled", excuses, found)


def _start(note: Note, since: float, what: str, excuses: Iterator[str], found: Findings) -> None:
    if note.at - since <= SLACK:
        return
    excuse = next(excuses, None)
    if excuse is not None:
        found.excused[excuse] += 1
    else:
        found.duplicated.append(f"{note.job_id} was started {note.at - since:.1f} s after {what}, by {note.pid}")


def _excuses(note: Note, account: Account) -> Iterator[str]:
    for strike in account.strikes:
        if strike.fault.verb is Verb.ROLLBACK and strike.began < note.at < _noticed(strike, account):
            yield "started again just after lost writes"
        if strike.fault.verb is Verb.STOP and 0 <= note.at - strike.ended < AWAKE and note.pid in strike.pids:
            yield "started by a process that had slept in the middle of taking it"


def _unheard(note: Note, cancelled_at: float, account: Account) -> Iterator[str]:
    """A flow can be cancelled while the engine is away; it hears of it when it is back and there is a leader."""
    for strike in account.strikes:
        near = strike.began - SLACK < cancelled_at < strike.ended + SLACK
        if strike.fault.role in HEARS and near and note.at < _noticed(strike, account):
            yield "started because the engine was away when the flow was cancelled"


def _noticed(rollback: Strike, account: Account) -> float:
    """When it must have been noticed: whoever does that needs engine and database, and may have to take over first."""
    by = rollback.ended + UNNOTICED
    for strike in sorted(account.strikes, key=lambda strike: strike.began):
        if strike.fault.role in NEEDED and strike.began < by and strike.ended > rollback.began:
            by = max(by, max(strike.ended, strike.began + account.lease) + UNNOTICED)
    return by
