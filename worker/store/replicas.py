"""Writes that count only once replicas have them, so that a failover can't undo what somebody was told is safe."""

from worker.store.connect import is_cluster, is_sentinel
from worker.store.errors import TooFewReplicas
from worker.store.scripts import Call, command

WITHIN_MS = 1_500
"""How long a write waits for its replicas. Shorter than the patience of whoever sends a webhook, and of ``/readyz``."""


def replicas_wanted(url: str, wanted: int | None) -> int:
    """How many replicas a write to the state of ``url`` waits for; ``wanted`` None leaves it to the kind of URL: one
    where a replica may be put in a server's place, behind Sentinels or on a cluster, else none."""
    return int(is_sentinel(url) or is_cluster(url)) if wanted is None else wanted


def wait_for(replicas: int) -> Call:
    """The call that waits until so many replicas have all that was written before it over the same connection."""
    return command("WAIT", replicas, WITHIN_MS)


def check_replicated(reply: object, replicas: int) -> None:
    """Return if the answer to ``wait_for`` says that enough replicas have what was written.

    Raises:
        TooFewReplicas: they have not, or the server can't say. The write itself stays.
    """
    if isinstance(reply, Exception):
        raise TooFewReplicas(replicas, f"the server can't say how many have it: {str(reply)[:120]}") from reply
    if not isinstance(reply, int) or reply < replicas:
        raise TooFewReplicas(replicas, f"{reply} had it within {WITHIN_MS / 1000:g} s")
