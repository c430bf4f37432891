"""From settings to the ports the engine works with."""

import asyncio
import time
import uuid

from worker.actors.alerts import Courier
from worker.actors.connections import routes_of_settings
from worker.actors.observing import Observing
from worker.alerts.channels import open_channels
from worker.alerts.digest import Writer
from worker.alerts.places import Places
from worker.alerts.texts import read_texts
from worker.crovver.client import CrovverClient
from worker.crovver.credentials import SecretKey, ServiceKey
from worker.crovver.walk import at_the_same_time
from worker.engine.ports import CheckoutOptions, Pace, Ports
from worker.engine.rate import FleetRate
from worker.metrics import Meters
from worker.payments.sessions import StripeSessions
from worker.settings import Settings, shipped_config
from worker.settings.derive import micros, policy_of, powers_of
from worker.store.redis_store import RedisStore


def ports_of(settings: Settings, store: RedisStore, observing: Observing, *, concurrency: int) -> Ports:
    """Everything a reconcile needs, for one event loop; ``concurrency`` bounds its calls to Crovver.

    Raises:
        ConfigError: Crovver's key is not set.
    """
    key = settings.require_crovver()
    text = key.secret.get_secret_value()
    rate = settings.crovver_rate
    crovver = CrovverClient(
        base_url=settings.crovver_base_url,
        credentials=ServiceKey(text, key.org_id) if key.org_id else SecretKey(text),
        limiter=FleetRate(store, rate.calls, rate.seconds, asyncio.sleep),
        max_concurrency=concurrency,
        on_call=observing.called,
    )
    sessions = None
    if settings.stripe_api_key is not None:
        sessions = StripeSessions(settings.stripe_api_key.get_secret_value(), settings.stripe_base_url)
    return Ports(
        store=store,
        crovver=crovver,
        policy=policy_of(settings),
        powers=powers_of(settings),
        sleep=asyncio.sleep,
        monotonic=time.monotonic,
        new_id=new_id,
        sessions=sessions,
        checkout=CheckoutOptions(settings.plan_id, settings.success_url, settings.cancel_url),
        pace=Pace(walk_every=micros(settings.full_look_every), trust_look=micros(settings.trust_look_for)),
        observer=observing,
        together=at_the_same_time,
    )


def writer_of(settings: Settings) -> Writer:
    """What writes the messages of alerts.

    Raises:
        ConfigError: the operator's own texts can't be used.
    """
    return Writer(read_texts(shipped_config("alerts.toml"), settings.alert_texts), Places(settings.public_url))


def courier_of(settings: Settings, store: RedisStore, meters: Meters) -> Courier:
    """What delivers alerts.

    Raises:
        ConfigError: a channel or the texts can't be used.
    """
    return Courier(store, open_channels(routes_of_settings(settings)), writer_of(settings), meters)


def new_id(prefix: str) -> str:
    """An identifier nobody has used, in the order of time: ``upg_0192…``."""
    millis = time.time_ns() // 1_000_000
    return f"{prefix}_{millis:012x}{uuid.uuid4().hex[:16]}"
