"""How pages are rendered, and where their style sheet is."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from ..proration import money

_ROOT = Path(__file__).parent.parent
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_environment = Environment(
    loader=FileSystemLoader(_ROOT / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_money_filter: Callable[[int, str], str] = money
_environment.filters["money"] = _money_filter


def page(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """A rendered page. It needs no script and may load none, and nothing keeps or passes on its address."""
    return HTMLResponse(_environment.get_template(template).render(**values), status, _HEADERS)


def static_files() -> Mount:
    return Mount("/static", StaticFiles(directory=_ROOT / "static"))
