"""What can go wrong with the store."""


class StoreError(Exception):
    """The store did not do what was asked."""


class StoreUnavailable(StoreError):
    """Redis can't be reached, or cannot take writes just now. Whether the last write happened is not known."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Redis can't be used just now: {reason}")


class TooFewReplicas(StoreUnavailable):
    """A write was made, but not enough replicas had it in time: a failover may undo it."""

    def __init__(self, wanted: int, seen: str) -> None:
        super().__init__(f"a write must be on {wanted} replicas to count (SEATS_MIN_REPLICAS), and {seen}")


class StoreBroken(StoreError):
    """Redis refused a command in a way that waiting will not mend, such as a key of the wrong type."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Redis refused a command: {reason}")


class TenantBroken(StoreError):
    """What is kept of one tenant can't be used: a key is of another kind, or its contents are not ours."""

    def __init__(self, tenant: str, reason: str) -> None:
        self.tenant, self.reason = tenant, reason
        super().__init__(f"what is kept of tenant {tenant!r} can't be used: {reason}")


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
