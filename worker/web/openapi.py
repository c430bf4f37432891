"""GET /openapi.json: every route, every answer it can give. The tests hold it against the routes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.facts import OperatorAction
from worker.core.tenant import Status
from worker.core.upgrade import State
from worker.events import MOST_EVENTS, ONE_EVENT
from worker.store.dead_letters import QUEUES
from worker.web import events, problems, schemas
from worker.web.answers import answer
from worker.web.queries import DEFAULT_LIMIT, LARGEST_LIMIT
from worker.web.roster import ROSTER

_REFERENCE: Final = "#/components/schemas/{model}"
_ID: Final = {"type": "string", "minLength": 1, "maxLength": 255}

Spec = dict[str, Any]


def openapi_routes() -> list[Route]:
    """The route; it asks nobody who they are."""

    async def openapi(_: Request) -> Response:
        return answer(document())

    return [Route("/openapi.json", openapi)]


@cache
def document() -> Spec:
    """The description, in OpenAPI 3.1."""
    schemas_used: Spec = {}
    paths: Spec = {}
    for adapter in (ONE_EVENT, ROSTER):
        _schema(adapter, schemas_used)
    for operation in _operations():
        paths.setdefault(operation.path, {})[operation.method.lower()] = operation.described(schemas_used)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Seat Reconciler",
            "version": "1",
            "description": "Keeps the seats of Crovver tenants in step with their users. Errors are problem documents "
            "(RFC 9457), also for unknown paths (404) and for methods a path does not take (405, with Allow). "
            "A route whose secret is not configured answers 404.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas_used,
            "securitySchemes": {
                "ingest": {"type": "http", "scheme": "bearer", "description": "one of SEATS_INGEST_TOKENS"},
                "operator": {"type": "http", "scheme": "bearer", "description": "SEATS_OPERATOR_TOKEN"},
                "stripe": _header_scheme("Stripe-Signature", "Stripe's signature of the raw body"),
                "crovver": _header_scheme("X-Crovver-Signature", "sha256=<hex HMAC-SHA256 of the raw body>"),
            },
        },
    }


def _header_scheme(name: str, description: str) -> Spec:
    return {"type": "apiKey", "in": "header", "name": name, "description": description}


@dataclass(frozen=True, slots=True)
class _Operation:
    """A route as the document has it. ``result`` is the shape of its JSON, or another media type.

    ``errors`` maps a status to what it means and the shape of its document.
    """

    method: str
    path: str
    summary: str
    status: int
    result: type[BaseModel] | str | None
    security: str | None = None
    query: tuple[Spec, ...] = ()
    bodies: Mapping[str, Spec] | None = None
    errors: Mapping[int, tuple[str, type[BaseModel]]] | None = None

    def described(self, schemas_used: Spec) -> Spec:
        responses: Spec = {str(self.status): {"description": "done", **self._content(schemas_used)}}
        for status, (meaning, shape) in sorted(self._all_errors().items()):
            content = {problems.MEDIA_TYPE: {"schema": _schema(TypeAdapter(shape), schemas_used)}}
            responses[str(status)] = {"description": meaning, "content": content, **_error_headers(status)}
        names = [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
        parameters = [{"name": name, "in": "path", "required": True, "schema": _ID} for name in names]
        spec: Spec = {"summary": self.summary, "operationId": self._ident(), "responses": responses}
        if self.security:
            spec["security"] = [{self.security: []}]
        if names or self.query:
            spec["parameters"] = [*parameters, *self.query]
        if self.bodies:
            spec["requestBody"] = {"required": True, "content": dict(self.bodies)}
        return spec

    def _all_errors(self) -> dict[int, tuple[str, type[BaseModel]]]:
        errors: dict[int, tuple[str, type[BaseModel]]] = {500: ("a bug; the log has more", schemas.Problem)}
        if self.security in ("ingest", "operator"):
            errors[401] = ("the bearer token is missing or wrong", schemas.Problem)
        if self.security:
            errors[404] = ("the route's secret is not configured", schemas.Problem)
            errors[503] = ("the store can't be reached: come back", schemas.Problem)
        if self.bodies:
            errors[408] = ("the body did not arrive in time", schemas.Problem)
            errors[413] = ("the body is too large", schemas.Problem)
            errors[415] = ("another content type or encoding", schemas.Problem)
        return {**errors, **(self.errors or {})}

    def _content(self, schemas_used: Spec) -> Spec:
        if isinstance(self.result, str):
            return {"content": {self.result: {"schema": {"type": "string"}}}}
        schema = _schema(TypeAdapter(self.result), schemas_used) if self.result else {"type": "object"}
        return {"content": {"application/json": {"schema": schema}}}

    def _ident(self) -> str:
        return "_".join([self.method.lower(), *(part.strip("{}") for part in self.path.split("/") if part)])


def _schema(adapter: TypeAdapter[Any], schemas_used: Spec) -> Spec:
    schema = adapter.json_schema(ref_template=_REFERENCE)
    schemas_used.update(schema.pop("$defs", {}))
    title = schema.get("title")
    if title is None:
        return schema
    schemas_used[title] = schema
    return {"$ref": _REFERENCE.format(model=title)}


def _error_headers(status: int) -> Spec:
    names = {401: "WWW-Authenticate", 503: "Retry-After"}
    return {"headers": {names[status]: {"schema": {"type": "string"}}}} if status in names else {}


def _query(name: str, schema: Spec, description: str) -> Spec:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _json(schema: Spec) -> Spec:
    return {"application/json": {"schema": schema}}


def _operations() -> list[_Operation]:
    components = {title: {"$ref": _REFERENCE.format(model=title)} for title in ("Event", "RosterBody")}
    one, many = components["Event"], {"type": "array", "items": components["Event"], "maxItems": MOST_EVENTS}
    event_bodies: Spec = {
        events.ONE: {"schema": one},
        events.MANY: {"schema": many},
        events.JSON: {"schema": {"oneOf": [one, many]}},
    }
    raw = {"schema": {"type": "object"}}
    page = (
        _query("cursor", {"type": "string", "minLength": 1}, "the next of an earlier answer"),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT}, "rows"),
    )
    by_status = _query("state", {"enum": [*Status]}, "only tenants of this status")
    by_state = _query("state", {"enum": [*State]}, "only upgrades in this state")
    force = _query("force", {"type": "boolean", "default": False}, "take a roster that removes most users, too")
    bad_query = {400: ("a query parameter is wrong", schemas.Problem)}
    no_tenant = {404: ("no such tenant, or no operator token configured", schemas.Problem)}
    no_upgrade = {404: ("no such upgrade, or no operator token configured", schemas.Problem)}
    bad_body = ("what was sent can't be understood; nothing was taken", schemas.BadEntries)
    unsigned = {400: ("the signature is bad or old, or the event malformed; nothing was stored", schemas.Problem)}
    drastic = {409: ("the roster would remove most users: ?force=true if it is meant", schemas.DrasticRoster)}
    wrong_state = {409: ("the decision does not fit the upgrade's state", schemas.WrongState)}
    away = {503: ("the state can't be reached: come back", schemas.Problem)}
    not_ready = {503: ("not ready", schemas.NotReady)}
    by_queue = _query("queue", {"enum": [*QUEUES]}, "only messages of this queue")
    no_letter = {404: ("no such dead letter, or no operator token configured", schemas.Problem)}
    tenant, upgrade = "/v1/tenants/{tenantId}", "/v1/upgrades/{upgradeId}"
    credits = "/v1/credits/{tenantId}"
    letters, letter = "/v1/dead-letters", "/v1/dead-letters/{deadLetterId}"
    return [
        _Operation("POST", "/v1/events", "Publish seat events, all or none", 202, schemas.Accepted, "ingest",
                   bodies=event_bodies, errors={400: bad_body}),
        _Operation("PUT", f"{tenant}/roster", "The full list of a tenant's users", 202, schemas.Accepted, "ingest",
                   (force,), _json(components["RosterBody"]), {400: bad_body, **drastic}),
        _Operation("POST", "/webhooks/stripe", "Stripe's events", 200, schemas.Received, "stripe",
                   bodies={"application/json": raw}, errors=unsigned),
        _Operation("POST", "/webhooks/crovver", "Crovver's events", 200, schemas.Received, "crovver",
                   bodies={"application/json": raw}, errors=unsigned),
        _Operation("GET", "/v1/tenants", "List tenants", 200, schemas.Tenants, "operator", (by_status, *page),
                   errors=bad_query),
        _Operation("GET", tenant, "One tenant", 200, schemas.Tenant, "operator", errors=no_tenant),
        _Operation("GET", f"{tenant}/journal", "What happened to a tenant", 200, schemas.Journal, "operator", page,
                   errors={**bad_query, **no_tenant}),
        _Operation("POST", f"{tenant}/reconcile", "Look at a tenant now", 202, schemas.ReconcileAccepted, "operator",
                   errors=no_tenant),
        _Operation("GET", credits, "A tenant's credit balances, as read last", 200, schemas.Credits, "operator",
                   errors=no_tenant),
        _Operation("POST", f"{credits}/read", "Read a tenant's credit balances now", 202, schemas.ReconcileAccepted,
                   "operator", errors={**no_tenant, 409: ("balances are not read here", schemas.Problem)}),
        _Operation("GET", "/v1/upgrades", "List upgrades", 200, schemas.Upgrades, "operator", (by_state, *page),
                   errors=bad_query),
        _Operation("GET", upgrade, "One upgrade", 200, schemas.Upgrade, "operator", errors=no_upgrade),
        *(
            _Operation("POST", f"{upgrade}/{action}", f"Decide: {action}", 202, schemas.Upgrade, "operator",
                       errors={**no_upgrade, **wrong_state})
            for action in OperatorAction
        ),
        _Operation("GET", letters, "List messages that gave up", 200, schemas.DeadLetters, "operator",
                   (by_queue, *page), errors=bad_query),
        _Operation("GET", letter, "One message that gave up", 200, schemas.DeadLetter, "operator", errors=no_letter),
        _Operation("POST", f"{letter}/requeue", "Have it handled once more", 200, schemas.DeadLetterDone, "operator",
                   errors=no_letter),
        _Operation("POST", f"{letter}/discard", "Drop it for good", 200, schemas.DeadLetterDone, "operator",
                   errors=no_letter),
        _Operation("GET", "/healthz", "The process lives", 200, schemas.Health),
        _Operation("GET", "/readyz", "It can do its work", 200, schemas.Ready, errors=not_ready),
        _Operation("GET", "/metrics", "Metrics for Prometheus", 200, "text/plain", errors=away),
        _Operation("GET", "/openapi.json", "This description", 200, None),
    ]  # fmt: skip
