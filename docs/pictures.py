"""Takes the pictures of the docs from a real run: `make pictures`.

Runs the demo's flow on a service of its own and draws the live tree as it stood in the middle and at the end.
"""

import asyncio
import os
import tempfile
from contextlib import aclosing
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from bullflow import AsyncClient
from bullflow.cli.flow_view import FlowView, read_view
from bullflow.cli.live_tree import render
from bullflow.clock import now_ms
from examples.video.flow import video_flow
from examples.video.service import running_service

HERE = Path(__file__).parent
COLUMNS = 118
HALFWAY = 40

# rich's own template loads fonts from the net; a picture in a repository should not.
_FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""

_DARK = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [
        (72, 79, 88),
        (248, 81, 73),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
    [
        (110, 118, 129),
        (255, 123, 114),
        (86, 211, 100),
        (227, 179, 65),
        (121, 192, 255),
        (210, 168, 255),
        (86, 212, 221),
        (240, 246, 252),
    ],
)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # A short path, and none of the machine on which the picture is taken.
        os.environ["VIDEO_OUTPUT_DIR"] = "/tmp/video-out"  # noqa: S108 - nothing secret goes there
        async with running_service(Path(folder)) as service, AsyncClient(service.url) as client:
            flow = await client.create(video_flow())
            view = await read_view(client, flow.id)
            halfway = False
            async with aclosing(client.watch(flow.id, after=view.last_seq)) as entries:
                async for entry in entries:
                    view.fold(entry)
                    if not halfway and _is_halfway(view):
                        halfway = True
                        _draw("live-tree-running.svg", view)
            _draw("live-tree.svg", view)


def _is_halfway(view: FlowView) -> bool:
    """The root is at work and has said how far it is."""
    root = next(iter(view.jobs.values()))
    return isinstance(root.progress, int | float) and root.progress >= HALFWAY


def _draw(name: str, view: FlowView) -> None:
    console = Console(width=COLUMNS, record=True, force_terminal=True, color_system="truecolor", quiet=False)
    console.print(render(view, now_ms()))
    console.save_svg(
        str(HERE / name), title=f"bullflow flows watch {view.id}", theme=_DARK, code_format=_FRAME, unique_id="tree"
    )


if __name__ == "__main__":
    asyncio.run(main())
