"""Where the engine is: where the settings say, or where an embedded one has left its address."""

from pathlib import Path

from bullflow.errors import Misconfigured
from bullflow.settings import Settings


def url_file(data_dir: Path) -> Path:
    """The file in which a running embedded engine leaves its url."""
    return data_dir / "engine.url"


def engine_url(settings: Settings) -> str:
    """The engine's url; raises Misconfigured when none is set and none runs here."""
    if settings.redis_url is not None:
        return settings.redis_url
    try:
        return url_file(settings.data_dir).read_text().strip()
    except OSError:
        raise Misconfigured(
            f"no engine: set BULLFLOW_REDIS_URL (or --redis-url), or start `bullflow up` "
            f"with the data directory {settings.data_dir.absolute()}"
        ) from None
