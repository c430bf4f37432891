"""Workers that do the apply job one event at a time, as one would write them first: the peers of a comparison.

Each takes an event from its queue and folds it into its tenant's roster, a hash of user -> entry, newest wins by time
and id, in one atomic script; a message is acknowledged after that, so that none is lost with its worker. Each file is a
whole program: ``python -m tests.benchmarks.peers.NAME fill TENANTS EVENTS`` queues the events. Where its Redis is says
``BENCH_REDIS_URL``.
"""
