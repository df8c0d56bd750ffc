"""The dashboard: files that were built from `dashboard/` when the package was, held in memory and served as they are.

Every path of `/ui/` that is no file is the dashboard itself, which shows what the path names. Assets carry a hash of
what is in them in their names, so browsers keep them for ever and ask only for the page anew.
"""

import gzip
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from fastapi import APIRouter, Request, Response

STATIC = Path(__file__).with_name("static")
INDEX = "index.html"
NOT_BUILT = """\
The dashboard was not built. In a checkout `make dashboard` builds it; then start the service again.
The API is there all the same, see /docs.
"""
POLICY = "; ".join(
    (
        "default-src 'self'",
        # The component library sets styles on elements; scripts come from files of ours alone.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
_FOR_EVER = "public, max-age=31536000, immutable"
_SMALL = 1_000
"""Bytes that are not worth to be compressed."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    body: bytes
    compressed: bytes | None
    headers: Mapping[str, str]


@router.api_route("/", methods=["GET", "HEAD"])
@router.api_route("/ui", methods=["GET", "HEAD"])
@router.api_route("/ui/{path:path}", methods=["GET", "HEAD"])
async def dashboard(request: Request, path: str = "") -> Response:
    """A file of the dashboard, or the page that shows what the path names."""
    files = loaded(STATIC)
    if INDEX not in files:
        return Response(NOT_BUILT, 503, media_type="text/plain")
    if path.startswith("assets/") and path not in files:
        # A page from before an upgrade asks for what is no more; the page itself would be no script.
        return Response("There is no such file.", 404, media_type="text/plain")
    return _answer(request, files.get(path) or files[INDEX])


def _answer(request: Request, file: _File) -> Response:
    headers = {**_HEADERS, **file.headers}
    if request.headers.get("if-none-match") == file.headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if file.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.compressed, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.body, headers=headers)


@cache
def loaded(folder: Path) -> Mapping[str, _File]:
    """All files of the folder by their paths below it. Read when the service starts: to compress them takes a while."""
    return {
        path.relative_to(folder).as_posix(): _file(path, path.parent.name == "assets")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _file(path: Path, is_hashed: bool) -> _File:
    body = path.read_bytes()
    compressed = gzip.compress(body, mtime=0) if len(body) > _SMALL else None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    is_text = kind.startswith("text/") or kind.endswith(("javascript", "json"))
    return _File(
        body=body,
        compressed=compressed,
        headers={
            "Content-Type": f"{kind}; charset=utf-8" if is_text else kind,
            "Cache-Control": _FOR_EVER if is_hashed else "no-cache",
            "ETag": f'"{blake2b(body, digest_size=12).hexdigest()}"',
            "Vary": "Accept-Encoding",
        },
    )
