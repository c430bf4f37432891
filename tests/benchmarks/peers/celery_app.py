"""Celery on Redis: no results, late acknowledgement (an early one loses what a killed worker holds), long prefetch."""

from celery import Celery

from tests.benchmarks.peers import job

app = Celery("peer", broker=job.url())
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    task_store_errors_even_if_ignored=False,
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=100,
    worker_send_task_events=False,
)
fold = app.task(name="fold")(job.folder())

if (workload := job.asked_to_fill()) is not None:
    with app.producer_pool.acquire(block=True) as producer:
        for event in job.events(workload):
            fold.apply_async(event, producer=producer)
