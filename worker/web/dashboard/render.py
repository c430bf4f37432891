"""How pages are rendered: whole for a browser, or only what lives on them for one that asks again (htmx)."""

from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from worker.core.printable import printable
from worker.web.dashboard import charts, words
from worker.web.dashboard.session import Session
from worker.web.dashboard.static_files import address

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Nothing leaves for other sites. Our own pages have to say where a form comes from, so not "no-referrer": with that
    # a browser sends `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
"""On every answer of the dashboard."""


@dataclass(frozen=True, slots=True)
class Badges:
    """What waits for people, for the navigation."""

    approvals: int = 0
    payments: int = 0
    dead_letters: int = 0


def in_path(text: str) -> str:
    """An id as one segment of a path."""
    return quote(text, safe="")


@cache
def environment() -> Environment:
    env = Environment(
        loader=PackageLoader("worker.web.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "ident": words.ident,
        "moment": words.moment,
        "plain": words.plain,
        "prose": words.prose,
        # For a page's title, which can hold no markup.
        "printable": printable,
        "absolute": words.absolute,
        "number": words.number,
        "plural": words.plural,
        "seg": in_path,
    }
    env.globals |= {"static": address, "STATUSES": words.STATUSES, "STATES": words.STATES, "bar": charts.bar}
    return env


def is_partial(request: Request) -> bool:
    """Whether htmx asks, for what is new on a page that is there already."""
    return request.headers.get("hx-request") == "true"


def page(
    request: Request,
    template: str,
    *,
    session: Session | None,
    now: int,
    badges: Badges | None = None,
    status: int = 200,
    **values: object,
) -> Response:
    """A rendered page. It may hold payable links, so nothing may keep it."""
    layout = "partial.html" if is_partial(request) else "base.html"
    html = (
        environment()
        .get_template(template)
        .render(
            layout=layout,
            now=now,
            badges=badges,
            here=request.url.path,
            # As it was asked for, for htmx to ask again.
            url=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            form_token=session.form_token if session else None,
            **values,
        )
    )
    return HTMLResponse(html, status, {"Cache-Control": "no-store"})


def redirect(where: str) -> Response:
    """On to another page; with GET, whatever came before."""
    return RedirectResponse(where, 303, {"Cache-Control": "no-store"})


def message(text: str, *, good: bool, status: int = 200, refresh: bool = False) -> Response:
    """An answer to htmx: words for the place where a page says how something went."""
    html = environment().get_template("message.html").render(text=text, good=good)
    headers = {"Cache-Control": "no-store", "HX-Retarget": "#notice", "HX-Reswap": "innerHTML"}
    if refresh:
        headers["HX-Trigger"] = "acted"
    return HTMLResponse(html, status, headers)
