"""The seats of one subscription: who holds one, who held one, and how many are taken."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

MAX_SEATS = 100_000


@dataclass(frozen=True, slots=True)
class Seat:
    """One allocation. A user has one at most: allocated again after a removal, it moves to the end of the list."""

    user: str
    allocated_at: datetime
    removed_at: datetime | None = None
    email: str | None = None
    name: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return self.removed_at is None


class Seats:
    """The allocations in the order they were made. Crovver keeps removed ones too."""

    def __init__(self, seats: Iterable[Seat] = ()) -> None:
        self._by_user = {seat.user: seat for seat in seats}
        self._active = sum(seat.active for seat in self._by_user.values())

    def __iter__(self) -> Iterator[Seat]:
        return iter(self._by_user.values())

    @property
    def active_count(self) -> int:
        return self._active

    def holds(self, user: str) -> bool:
        """Whether the user has an active allocation."""
        seat = self._by_user.get(user)
        return seat is not None and seat.active

    def allocate(self, seat: Seat) -> bool:
        """Give the user a seat, whatever the capacity; False if they hold one already.

        Raises:
            ValueError: more allocations than a sandbox keeps.
        """
        if self.holds(seat.user):
            return False
        self._by_user.pop(seat.user, None)
        if len(self._by_user) >= MAX_SEATS:
            raise ValueError(f"a tenant of the sandbox holds {MAX_SEATS:,} allocations at most")
        self._by_user[seat.user] = seat
        self._active += 1
        return True

    def remove(self, user: str, at: datetime) -> bool:
        """Take the user's seat back; False if they hold none."""
        if not self.holds(user):
            return False
        self._by_user[user] = replace(self._by_user[user], removed_at=at)
        self._active -= 1
        return True
