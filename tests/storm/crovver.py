"""The Crovver of a storm: it remembers how long each checkout was open, and so which was made beside another."""

import math
import time
from collections.abc import Collection
from typing import Any

from tests.e2e.crovver import Checkout, Crovver


class StormCrovver(Crovver):
    """A ``Crovver`` that can tell which checkouts there should never have been."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.over: dict[str, float] = {}
        self.refused: list[tuple[str, int]] = []

    def grant(self, checkout: Checkout) -> None:
        super().grant(checkout)
        self.end(checkout)

    def end(self, checkout: Checkout) -> None:
        """Its session is over: nobody can pay it any more."""
        with self.lock:
            self.over.setdefault(checkout.session, time.monotonic())

    def open_of(self, tenants: Collection[str]) -> list[Checkout]:
        """The checkouts that can still be paid."""
        with self.lock:
            return [one for one in self.checkouts if one.tenant in tenants and one.session not in self.over]

    def proration_checkout(self, body: dict[str, Any]) -> tuple[int, object]:
        status, answer = super().proration_checkout(body)
        if status == 400:
            with self.lock:
                self.refused.append((body["externalTenantId"], body["newCapacity"]))
        return status, answer

    def doubled(self, tenants: Collection[str]) -> list[str]:
        """Checkouts that were made while another one of their tenant was open, or asked for what was there already.

        The second kind was refused; but whoever asked had asked before, or had not looked.
        """
        with self.lock:
            found = [f"{tenant}: {capacity} once more" for tenant, capacity in self.refused if tenant in tenants]
            for number, late in enumerate(self.checkouts):
                rivals = [
                    early
                    for early in self.checkouts[:number]
                    if early.tenant == late.tenant and self.over.get(early.session, math.inf) > late.at
                ]
                if rivals and late.tenant in tenants:
                    sizes = [early.capacity for early in rivals]
                    found.append(f"{late.tenant}: {late.capacity} while {sizes} was open")
            return found
