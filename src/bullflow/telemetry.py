"""Where the rooms' named events become log lines.

A room asks for its logger once and reports events by name with fields, for example
`log.info("recorder.batch", facts=200)`. What a line looks like is decided here alone: coloured text
for a terminal, one JSON object a line for everything else. Logs go to stderr, so that stdout is
left to what a command answers.
"""

import logging
import sys
from typing import Literal, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

LogFormat = Literal["auto", "text", "json"]


def logger(room: str) -> FilteringBoundLogger:
    """The logger of one room."""
    return cast("FilteringBoundLogger", structlog.get_logger(room=room))


def configure(level: str = "info", log_format: LogFormat = "auto") -> None:
    """Set how log lines look for the whole process."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    tail: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if as_text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *tail,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
