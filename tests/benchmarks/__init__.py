"""The benchmark suite: ``python -m tests.benchmarks [SUBJECT…] [--json FILE] [--plots DIR] [--rounds N] [--small]``.

A subject is a module with ``NAME``, a docstring that says what is measured against what, and
``run(bench: Bench) -> list[Figure]``. Every comparison takes turns in one run, so that noise hits all alike, and
what counts is the ratio. Peers need the extra `bench`: ``pip install -e '.[bench]'``; without it they are left out, and
the output says so.
"""
