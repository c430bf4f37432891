"""Problems, told to people: a page, or a line on the page that is open."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from worker.web.dashboard.render import HEADERS, environment, is_partial, message
from worker.web.problems import Problem


def problem_page(request: Request, problem: Problem) -> Response:
    """The problem as a page of the dashboard. It may be shown to anybody: it holds nothing but the problem."""
    text = problem.detail[:1].upper() + problem.detail[1:]
    if is_partial(request):
        answer = message(text, good=False, status=problem.status)
    else:
        title = HTTPStatus(problem.status).phrase
        html = (
            environment()
            .get_template("problem.html")
            .render(title=title, text=text, status=problem.status, form_token=None)
        )
        answer = Response(html, problem.status, {"Cache-Control": "no-store"}, "text/html")
    answer.headers.update({**HEADERS, **(problem.headers or {})})
    return answer
