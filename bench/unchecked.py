"""`bullflow` without what looks for lost work (audits, the mark, questions about streams), to measure its cost."""

import asyncio
from collections.abc import Mapping

from bullflow.auditor import Auditor
from bullflow.cli.main import main
from bullflow.engine.stream import EventStreams, Faults


async def no_audit(_auditor: Auditor) -> int:
    await asyncio.sleep(3600)
    return 0


async def no_faults(_streams: EventStreams, _positions: Mapping[str, object]) -> Faults:
    return Faults(gone_back=frozenset(), trimmed={})


if __name__ == "__main__":
    Auditor.run_once = no_audit  # type: ignore[method-assign,assignment]
    EventStreams.faults = no_faults  # type: ignore[method-assign,assignment]
    main()
