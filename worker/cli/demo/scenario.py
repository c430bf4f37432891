"""The scenario: what `config/demo.toml` says, checked."""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from worker.cli.errors import CommandError

NO_UPGRADE = "none"


class Do(StrEnum):
    """What can happen in a step."""

    JOIN = "join"
    LEAVE = "leave"
    REPEAT = "repeat"
    LOSE_ANSWER = "lose-answer"
    PAY = "pay"
    EXPIRE = "expire"
    PAY_INVOICE = "pay-invoice"
    WAIT = "wait"
    SETTLE = "settle"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Table):
    """One thing that happens.

    - ``join``, ``leave``: ``users`` people, told by one call to the event door. ``repeat``: the last such call again.
    - ``lose-answer``: the answer to the next checkout call will be lost on its way back, after Crovver has acted.
    - ``pay``, ``expire``, ``pay-invoice``: what the payer does with the newest checkout or invoice.
    - ``wait``: until the upgrade is in state ``until``. ``settle``: until the worker has taken in all that was said.

    ``say`` is told once the step is done; ``{needed}``, ``{capacity}``, ``{size}``, ``{users}`` and ``{looks}`` stand
    for numbers.
    """

    do: Do
    say: str
    users: Annotated[int, Field(ge=1, le=1000)] | None = None
    until: str | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.do in (Do.JOIN, Do.LEAVE)) != (self.users is not None):
            raise ValueError(f"users belongs to join and leave, and only there (in {self.do})")
        if (self.do is Do.WAIT) != (self.until is not None):
            raise ValueError(f"until belongs to wait, and only there (in {self.do})")
        return self


class Expected(_Table):
    """How a tenant must have ended. ``upgrade`` is the latest upgrade's state, or ``none``."""

    needed: int
    capacity: int
    checkout_calls: int
    upgrade: str
    ending: str


class Actor(_Table):
    """One tenant and its story."""

    id: str
    story: str
    provider: str = "stripe"
    capacity: Annotated[int, Field(ge=1)]
    taken: Annotated[int, Field(ge=0)]
    steps: list[Step]
    expect: Expected


class Scenario(_Table):
    """Everything that is played.

    ``patience`` is how many seconds a single step may take, ``pause_seconds`` the rest after each at a terminal.
    """

    title: str
    settle_seconds: Annotated[float, Field(ge=0, le=60)]
    patience: Annotated[float, Field(gt=0, le=600)]
    pause_seconds: Annotated[float, Field(ge=0, le=10)] = 0
    tenants: Annotated[list[Actor], Field(min_length=1)]


def read_scenario(path: Path) -> Scenario:
    """The scenario in a TOML file.

    Raises:
        CommandError: it can't be understood.
    """
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"{path} can't be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CommandError(f"{path} is no scenario: {where}: {first['msg']}") from error
