"""Where a request comes from: what changes something must come from our own pages."""

from urllib.parse import urlsplit

from starlette.requests import Request


def from_our_pages(request: Request) -> bool:
    """Whether the browser says that one of our own pages sent this.

    ``Sec-Fetch-Site`` says so outright and no page can forge it. Browsers leave it out where a site is plain http; then
    ``Origin`` must name the host that was asked. A request with neither comes from no browser of this decade.
    """
    if site := request.headers.get("sec-fetch-site"):
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc.lower() == request.headers.get("host", "").lower()


def from_another_site(request: Request) -> bool:
    """Whether someone follows a link from elsewhere, so that the browser holds its ``SameSite=Strict`` cookie back."""
    return request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site"
