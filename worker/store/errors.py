"""What can go wrong with the store."""


class StoreError(Exception):
    """The store did not do what was asked."""


class StoreUnavailable(StoreError):
    """Redis can't be reached, or cannot take writes just now. Whether the last write happened is not known."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Redis can't be used just now: {reason}")


class StoreBroken(StoreError):
    """Redis refused a command in a way that waiting will not mend, such as a key of the wrong type."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Redis refused a command: {reason}")


class InboxFull(StoreError):
    """A tenant's inbox holds as many facts as it may; they are folded in before more are taken."""

    def __init__(self, tenant: str, most: int) -> None:
        self.tenant, self.most = tenant, most
        super().__init__(f"the inbox of tenant {tenant!r} holds {most} facts that are yet to be folded in")


class StateElsewhere(StoreError):
    """This server is a deployment's broker, and its state is on another server."""

    def __init__(self) -> None:
        super().__init__(
            "this Redis is the broker of a deployment that keeps its state on another server: "
            "give SeatEvents the URL of that one (the deployment's SEATS_STATE_URL)"
        )
