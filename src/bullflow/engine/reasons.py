"""What an error said, read from its stack: an attempt's own message is not kept by BullMQ once the next has failed."""

import re

_TRACEBACK = "Traceback (most recent call last):"
_JAVASCRIPT_FRAME = "\n    at "
_TYPE = re.compile(r"[A-Za-z_$][\w.$]*: ")
_TELLING_TYPES = ("KeyError: ", "IndexError: ", "LookupError: ", "AssertionError: ", "SystemExit: ")
"""Types of Python's whose messages say nothing without them; our worker tells them as well."""


def message_of(stack: str) -> str:
    """The message of the error with this stack, as Node or Python write it; any other text is a message itself."""
    if _TRACEBACK in stack:
        return _without_type(_last_lines(stack), keep=_TELLING_TYPES)
    head, is_javascript, _ = stack.partition(_JAVASCRIPT_FRAME)
    return _without_type(head) if is_javascript or head.startswith("Error: ") else head


def _last_lines(traceback: str) -> str:
    """What follows the last frame: type and message, which may have several lines."""
    lines = traceback.rstrip("\n").split("\n")
    last_frame = max((place for place, line in enumerate(lines) if line.startswith("  ")), default=-1)
    return "\n".join(lines[last_frame + 1 :])


def _without_type(text: str, keep: tuple[str, ...] = ()) -> str:
    found = _TYPE.match(text)
    return text if found is None or text.startswith(keep or ("\0",)) else text[found.end() :]
