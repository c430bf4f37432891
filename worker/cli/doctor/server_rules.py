"""How a Redis or Valkey server should be set up for this program, and what to do where it is not."""

from worker.cli.doctor.findings import Finding, better, fix, good
from worker.cli.doctor.server_facts import ServerFacts

LEAST_VERSION = (6, 2)
"""``ZADD … LT`` (in most scripts) and ``ZMSCORE``."""

WAITAOF_VERSION = (7, 2)
"""From here on a server can be asked whether a write is on disk."""

CLOCK_NOTICEABLE, CLOCK_WRONG = 1.0, 60.0
"""Seconds. At 300, Stripe's webhooks count as old and events as from the future, and both are refused; a minute leaves
room for what the two clocks do not tell of the rest of the world."""

FAR_AWAY = 0.05
"""Seconds a call may take; a reconcile makes about ten, one after another."""

MEMORY_SHORT, MEMORY_OUT = 0.75, 0.9
_HIDDEN = "allow this user INFO and CONFIG GET (ACL: +info +config|get), or look in your provider's console"


def judged(name: str, facts: ServerFacts, replicas: int | None = None) -> list[Finding]:
    """Everything about one server; ``name`` begins each subject.

    ``replicas`` is how many must have a write before it counts; None: writes to this server wait for none.
    """
    return [
        _version(f"{name} version", facts),
        *_role(f"{name} role", facts),
        *(_replicas(f"{name} replicas", facts, replicas) if replicas is not None else ()),
        *_persistence(f"{name} durability", facts),
        _eviction(f"{name} eviction", facts),
        _memory(f"{name} memory", facts),
        _clock(f"{name} clock", facts),
        _distance(f"{name} latency", facts),
    ]


def _version(subject: str, facts: ServerFacts) -> Finding:
    if facts.version is None:
        return better(subject, "it does not say which version it is", f"see that it is Redis 6.2 or later; {_HIDDEN}")
    if facts.version < LEAST_VERSION:
        return fix(
            subject,
            f"{facts.software} does not know commands that the state needs",
            "move to Redis 6.2 or later, better 7.2, or to Valkey",
        )
    return good(subject, str(facts.software))


def _role(subject: str, facts: ServerFacts) -> list[Finding]:
    if facts.info.get("role") != "slave":
        return []
    remedy = "name the primary, or the Sentinels that know it (redis+sentinel://h1:p,h2:p/service)"
    return [fix(subject, "it is a replica, which takes no writes", remedy)]


def _replicas(subject: str, facts: ServerFacts, wanted: int) -> list[Finding]:
    """Whether as many replicas follow as a write waits for."""
    known = facts.replicas
    if known is None:
        hidden = f"whether {wanted} replicas follow it can't be seen"
        return [better(subject, hidden, f"see that they do, as writes wait for them; {_HIDDEN}")] if wanted else []
    if known < wanted:
        seen = f"{known} of the {wanted} that must have each write: events are refused, and nothing is bought"
        return [fix(subject, seen, "bring its replicas back, or lower SEATS_MIN_REPLICAS")]
    if known and not wanted:
        seen = f"{known}, and no write waits for them: a failover may lose accepted events, and buy twice"
        return [better(subject, seen, f"set SEATS_MIN_REPLICAS={known} if they may ever take its place")]
    if known > wanted:
        seen = f"{known}, and a write waits for {wanted} of them: a failover to another may lose what that one lacks"
        remedy = f"set SEATS_MIN_REPLICAS={known}, or replica-priority 0 on those that are never to take its place"
        return [better(subject, seen, remedy)]
    return [good(subject, f"{known}, and each write waits for it to be there")] if wanted else []


def _persistence(subject: str, facts: ServerFacts) -> list[Finding]:
    if facts.appendonly is None:
        return [better(subject, "whether it keeps an append-only file can't be seen", f"see that it does; {_HIDDEN}")]
    if not facts.appendonly:
        return [
            fix(
                subject,
                "it keeps no append-only file: a restart loses accepted events and claims of purchases",
                "CONFIG SET appendonly yes, and `appendonly yes` in its configuration file (config/valkey.conf is one "
                "that fits); at a provider, switch AOF persistence on",
            )
        ]
    found = []
    if facts.info.get("aof_last_write_status", "ok") != "ok":
        remedy = "free space on its disk, and read its log for the reason"
        found.append(fix(subject, "its last write to the append-only file failed", remedy))
    if facts.info.get("aof_last_bgrewrite_status", "ok") != "ok":
        found.append(
            fix(
                subject,
                "its last rewrite of the append-only file failed, so that the file grows until the disk is full",
                "see that a third of the machine's memory and of the disk is free, then BGREWRITEAOF",
            )
        )
    if facts.config.get("no-appendfsync-on-rewrite") == "yes":
        found.append(
            better(
                subject,
                "nothing is forced to disk while the append-only file is rewritten",
                "CONFIG SET no-appendfsync-on-rewrite no",
            )
        )
    flushing = _flushing(subject, facts)
    return [*found, flushing] if flushing.remedy or not found else found


def _flushing(subject: str, facts: ServerFacts) -> Finding:
    """When the append-only file reaches the disk."""
    waits = facts.version is not None and facts.version >= WAITAOF_VERSION
    match facts.config.get("appendfsync"):
        case "always":
            return good(subject, "append-only file, on disk before each answer (appendfsync always)")
        case "everysec":
            # Where a purchase asks for its claim to be on disk, Valkey 9.1 says that it is before it is.
            return better(
                subject,
                "append-only file, on disk every second (appendfsync everysec): a power cut can lose events of the "
                "last second, and the claim of a purchase that was made in it",
                "CONFIG SET appendfsync always, and so in its configuration file",
            )
        case None:
            seen = "append-only file; how often it is forced to disk can't be seen"
            return better(subject, seen, f"see that appendfsync is always; {_HIDDEN}")
    seen = "the append-only file is left to the system to write (appendfsync no): a power cut loses half a minute"
    if waits:
        seen += ", and no purchase is made, as its claim never is known to be on disk"
    return fix(subject, seen, "CONFIG SET appendfsync always, and so in its configuration file")


def _eviction(subject: str, facts: ServerFacts) -> Finding:
    if facts.policy is None:
        return better(subject, "what it does when it is full can't be seen", f"see that it is noeviction; {_HIDDEN}")
    if facts.policy != "noeviction":
        return fix(
            subject,
            f"maxmemory-policy is {facts.policy}: when memory is short, events and upgrades are dropped without a word",
            "CONFIG SET maxmemory-policy noeviction, and so in its configuration file or your provider's console",
        )
    return good(subject, "nothing is dropped to make room (noeviction)")


def _memory(subject: str, facts: ServerFacts) -> Finding:
    if facts.memory is None:
        return better(subject, "how full it is can't be seen", f"watch it elsewhere; {_HIDDEN}")
    used, most = facts.memory
    if most <= 0:
        return better(
            subject,
            f"{_size(used)} used, and no limit: if memory runs out, the system ends the server",
            "CONFIG SET maxmemory to at most two thirds of the machine's memory, and so in its configuration file",
        )
    seen = f"{_size(used)} of {_size(most)} used"
    if used >= MEMORY_OUT * most:
        return fix(subject, f"{seen}: soon it takes no more events", "raise maxmemory, or free some of it")
    if used >= MEMORY_SHORT * most:
        return better(subject, seen, "raise maxmemory before it is full: then it takes no more events")
    return good(subject, seen)


def _clock(subject: str, facts: ServerFacts) -> Finding:
    apart = abs(facts.ahead)
    if apart < CLOCK_NOTICEABLE:
        return good(subject, "less than a second from this machine's")
    seen = f"this machine's clock is {_seconds(apart)} {'ahead of' if facts.ahead > 0 else 'behind'} it"
    remedy = "keep both machines' clocks with NTP (chrony, systemd-timesyncd)"
    if apart < CLOCK_WRONG:
        return better(subject, f"{seen}: what happens within that time may count in the wrong order", remedy)
    return fix(subject, f"{seen}; from 300 s on, webhooks and events are refused", remedy)


def _distance(subject: str, facts: ServerFacts) -> Finding:
    seen = f"{facts.round_trip * 1000:.1f} ms a call"
    if facts.round_trip < FAR_AWAY:
        return good(subject, seen)
    return better(subject, f"{seen}, and a reconcile makes about ten", "run it nearer to the workers")


def _seconds(length: float) -> str:
    return f"{length:.1f} s" if length < 100 else f"{length:,.0f} s"


def _size(count: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1024:.0f} KB"
