"""What only one process does at a time: recording, dispatching, withdrawing, and what time brings about."""

from functools import partial
from typing import Any

from bullflow import loop, telemetry
from bullflow.answerer import BLOCK as ANSWERER_BLOCKS
from bullflow.answerer import Answerer
from bullflow.auditor import BEAT_EVERY as AUDITOR_LOOKS
from bullflow.auditor import Auditor
from bullflow.clock import now_ms
from bullflow.dispatcher import LOOK_EVERY as DISPATCHER_LOOKS
from bullflow.dispatcher import Dispatcher
from bullflow.engine.address import engine_url
from bullflow.engine.asking import Asks
from bullflow.engine.connection import connect
from bullflow.engine.producer import Producer
from bullflow.engine.stream import EventStreams
from bullflow.errors import LeadershipLost
from bullflow.janitor import LOOK_EVERY as JANITOR_LOOKS
from bullflow.janitor import Janitor
from bullflow.leader import Leader
from bullflow.recorder import BLOCK, Lease, Recorder
from bullflow.regulator import LOOK_EVERY as REGULATOR_LOOKS
from bullflow.serve.base import Base, regulator_of
from bullflow.serve.forgetting import bookkeeping, forgetting, sweeping
from bullflow.serve.running import running
from bullflow.serve.telling import tell_ended, tell_recorded, tell_recovered
from bullflow.store.leases import Held
from bullflow.wire import Limits
from bullflow.withdrawer import LOOK_EVERY as WITHDRAWER_LOOKS
from bullflow.withdrawer import Withdrawer


async def recording(base: Base) -> None:
    settings = base.settings
    producer = Producer(base.client, settings.prefix, keep=settings.engine_keep, stream_length=settings.stream_length)
    dispatcher = Dispatcher(
        base.database, producer, handover=base.handover, clock=now_ms, log=telemetry.logger("dispatcher")
    )
    withdrawer = base.withdrawer
    auditor = _auditor(base, dispatcher)

    def heard(work: dict[str, Any] | None) -> None:
        if work is None or "accepted" in work:
            dispatcher.hear(None if work is None else work["accepted"])
        if work is None or "ended" in work:
            withdrawer.wake.ring()
        if work is not None and "suspect" in work:
            auditor.suspect(work["suspect"])

    base.work.on(heard)
    leader = Leader(
        base.database, holder=base.origin, term=settings.lease, clock=now_ms, log=telemetry.logger("leader")
    )

    async def lead(held: Held) -> None:
        try:
            await _lead(base, dispatcher, withdrawer, auditor, held)
        finally:
            dispatcher.end()

    try:
        await leader.lead(lead)
    finally:
        await producer.close()


async def _lead(base: Base, dispatcher: Dispatcher, withdrawer: Withdrawer, auditor: Auditor, held: Held) -> None:
    """What only the leader does. It ends when the recorder finds that somebody else leads."""
    dispatcher.begin()
    base.news.ring(None)  # whoever led before may have died between writing and ringing
    async with running(
        loop.run(
            "dispatcher", dispatcher.run_once, wake=dispatcher.wake, interval=DISPATCHER_LOOKS, log=dispatcher.log
        ),
        loop.run(
            "withdrawer", withdrawer.run_once, wake=withdrawer.wake, interval=WITHDRAWER_LOOKS, log=withdrawer.log
        ),
        _looking_after(base),
        forgetting(base),
        sweeping(base),
        bookkeeping(base),
        _regulating(base),
        _answering(base),
    ):
        await _writing_down(base, auditor, held)


async def _writing_down(base: Base, auditor: Auditor, held: Held) -> None:
    """What the engine tells, and, where it has lost something, what is left of it."""
    settings, log = base.settings, telemetry.logger("recorder")
    reading = connect(engine_url(settings), "bullflow:recorder", block=BLOCK)
    recorder = Recorder(
        base.database,
        EventStreams(reading, settings.prefix),
        base.client,
        settings.prefix,
        lease=Lease(held=held, term=settings.lease),
        clock=now_ms,
        most_lines=settings.max_log_lines,
        limits=Limits(jobs=settings.max_jobs, depth=settings.max_depth, data_bytes=settings.max_data_bytes),
        recorded=partial(tell_recorded, base),
        suspect=auditor.suspect,
        log=log,
    )
    auditor.begin(recorder)
    give_up_on = (LeadershipLost,)
    try:
        async with running(
            loop.run(
                "auditor",
                auditor.run_once,
                wake=auditor.wake,
                interval=AUDITOR_LOOKS,
                log=auditor.log,
                give_up_on=give_up_on,
            )
        ):
            await loop.run(
                "recorder", recorder.run_once, wake=loop.Wake(), interval=None, log=log, give_up_on=give_up_on
            )
    finally:
        await reading.aclose()


def _auditor(base: Base, dispatcher: Dispatcher) -> Auditor:
    async def lost() -> None:
        # A queue that is paused must be so before anything is dispatched again.
        await regulator_of(base).run_once()
        dispatcher.begin()

    return Auditor(
        base.database,
        base.client,
        base.settings.prefix,
        remover=base.remover,
        clock=now_ms,
        lost=lost,
        changed=partial(tell_recovered, base),
        log=telemetry.logger("auditor"),
    )


async def _looking_after(base: Base) -> None:
    janitor = Janitor(base.database, clock=now_ms, decided=partial(tell_ended, base), log=telemetry.logger("janitor"))
    await loop.run("janitor", janitor.run_once, wake=loop.Wake(), interval=JANITOR_LOOKS, log=janitor.log)


async def _answering(base: Base) -> None:
    settings, log = base.settings, telemetry.logger("answerer")
    blocking = connect(engine_url(settings), "bullflow:answerer", block=ANSWERER_BLOCKS)
    answerer = Answerer(base.database, Asks(blocking, settings.prefix), settings.prefix)
    try:
        await loop.run("answerer", answerer.run_once, wake=loop.Wake(), interval=None, log=log)
    finally:
        await blocking.aclose()


async def _regulating(base: Base) -> None:
    log = telemetry.logger("regulator")
    await loop.run("regulator", regulator_of(base).run_once, wake=loop.Wake(), interval=REGULATOR_LOOKS, log=log)
