"""The gate: who gets to a page, and what it takes to change something."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from worker.core.secret import same
from worker.web.dashboard.forms import read_form
from worker.web.dashboard.render import is_partial, page, redirect
from worker.web.dashboard.same_site import from_another_site, from_our_pages
from worker.web.dashboard.session import COOKIE, Session, Sessions
from worker.web.problems import Problem
from worker.web.services import Services

SIGN_IN: Final = "/sign-in"
FORM_TOKEN: Final = "form_token"

Endpoint = Callable[[Request], Awaitable[Response]]
Page = Callable[[Request, Session], Awaitable[Response]]
Action = Callable[[Request, Session, Mapping[str, str]], Awaitable[Response]]


class Gate:
    """Lets signed-in operators through."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions

    async def session(self, request: Request) -> Session | None:
        """Who is asking; None where nobody is signed in.

        Raises:
            StoreError: the store could not be asked whether they have signed out.
        """
        session = self._sessions.read(request.cookies.get(COOKIE), self._services.clock())
        ended = session is not None and await self._services.store.session_ended(session.id)
        return None if ended else session

    def page(self, show: Page) -> Endpoint:
        """A page for whoever is signed in; others are sent to sign in, and then back here."""

        async def endpoint(request: Request) -> Response:
            session = await self.session(request)
            return self._sign_in_first(request) if session is None else await show(request, session)

        return endpoint

    def action(self, act: Action) -> Endpoint:
        """Something that changes things: from our own pages only, signed in, with the form's token."""

        async def endpoint(request: Request) -> Response:
            check_origin(request)
            session = await self.session(request)
            if session is None:
                return self._sign_in_first(request)
            form = await read_form(request)
            if not same(form.get(FORM_TOKEN, ""), session.form_token):
                raise Problem(403, "this form was not made for your session: open the page again, then try once more")
            return await act(request, session, form)

        return endpoint

    def _sign_in_first(self, request: Request) -> Response:
        back = request.url.path if request.method == "GET" else "/"
        if request.method == "GET" and request.url.query and not is_partial(request):
            back += f"?{request.url.query}"
        where = SIGN_IN if back == "/" else f"{SIGN_IN}?next={quote(back, safe='')}"
        if is_partial(request):
            return Response(status_code=401, headers={"HX-Redirect": SIGN_IN, "Cache-Control": "no-store"})
        if from_another_site(request):
            # Whoever follows a link in a message comes without the cookie, signed in or not. From here they come again
            # of their own accord, and with it.
            return page(request, "again.html", session=None, now=self._services.now(), back=back)
        return redirect(where)


def check_origin(request: Request) -> None:
    """Return if one of our own pages sent this.

    Raises:
        Problem: 403 another site did, or nobody knows who.
    """
    if not from_our_pages(request):
        raise Problem(403, "this did not come from a page of this dashboard, so nothing was done")
