"""What more seats cost for the rest of the billing period.

    amount = added seats x price per seat x days left / days in the period

in minor units of the currency (cents), computed as an exact fraction and rounded once, half up: 5 seats at $1.00
for 17 of 30 days are 8500/30 = 283.33… cents, so 283. (Crovver's own example answers 1750 for that, which nothing
on its page explains; the sandbox keeps to the arithmetic it states.)
"""

import math
from dataclasses import dataclass
from fractions import Fraction

_TIMES = "\N{MULTIPLICATION SIGN}"
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "npr": "Rs "}


@dataclass(frozen=True, slots=True)
class Proration:
    """A prorated charge. ``amount`` is in minor units of ``currency``."""

    added_seats: int
    amount: int
    currency: str
    description: str
    calculation: str


def prorate(added_seats: int, price_per_seat: int, currency: str, days_left: int, days: int) -> Proration:
    """The charge for seats added with ``days_left`` of ``days`` days to go; ``price_per_seat`` in minor units."""
    exact = Fraction(added_seats * price_per_seat * days_left, days)
    price = money(price_per_seat, currency)
    noun = "seat" if added_seats == 1 else "seats"
    return Proration(
        added_seats=added_seats,
        amount=math.floor(exact + Fraction(1, 2)),
        currency=currency,
        description=f"Prorated charge for {added_seats} additional {noun}",
        calculation=f" {_TIMES} ".join((f"{added_seats} {noun}", f"{price}/seat", f"{days_left}/{days} days")),
    )


def money(amount: int, currency: str) -> str:
    """Minor units for people: ``$2.83``."""
    whole, cents = divmod(amount, 100)
    sign = _SIGNS.get(currency, f"{currency.upper()} ")
    return f"{sign}{whole:,}.{cents:02d}"
