"""Does the faults of a schedule to what runs, and keeps when each began and ended."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.schedule import LOSES, Fault, Verb
from chaos.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A fault that was done. Times are the wall clock's; `pids` are the processes that it was done to."""

    fault: Fault
    began: float
    ended: float
    pids: tuple[int, ...]


class Saboteur:
    def __init__(self, stage: Stage, folder: Path, tell: Callable[[str], None]) -> None:
        self.strikes: list[Strike] = []
        self._stage = stage
        self._folder = folder
        self._tell = tell

    async def carry_out(self, plan: Sequence[Fault]) -> None:
        """Each at its time; one that meets its target in the middle of another fault waits for that."""
        start = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for fault in plan:
                tasks.create_task(self._strike(fault, start + fault.at))

    async def _strike(self, fault: Fault, when: float) -> None:
        await asyncio.sleep(max(0.0, when - asyncio.get_running_loop().time()))
        victim = self._stage.victims[fault.target]
        async with victim.lock:
            began, pids = time.time(), tuple(victim.pids())
            self._tell(f"{fault}")
            match fault.verb:
                case Verb.KILL:
                    await victim.kill()
                    await asyncio.sleep(fault.lasts)
                    await victim.start()
                case Verb.STOP:
                    await self._stop(fault)
                case Verb.FLUSH:
                    await self._stage.engines[fault.target].flush()
                case Verb.REPLACE | Verb.ROLLBACK:
                    await self._put_back(fault)
            self.strikes.append(Strike(fault=fault, began=began, ended=time.time(), pids=pids))
            self._tell(f"{fault}: over")

    async def _stop(self, fault: Fault) -> None:
        victim = self._stage.victims[fault.target]
        victim.pause()
        try:
            await asyncio.sleep(fault.lasts)
        finally:
            victim.resume()

    async def _put_back(self, fault: Fault) -> None:
        """The engine starts with what it knew a while ago, or with nothing."""
        engine = self._stage.engines[fault.target]
        copy = self._folder / f"copy-{fault.number}" if fault.verb is Verb.ROLLBACK else None
        if copy is not None:
            await asyncio.to_thread(engine.copy, copy)
            await asyncio.sleep(fault.lasts)
        await engine.kill()
        await asyncio.to_thread(engine.put_back, copy)
        await engine.start()


def loses(strike: Strike) -> bool:
    return strike.fault.verb in LOSES
