"""Run many seeds: ``python -m tests.simulation --seeds 0:20000``.

Prints what was reached and how fast, and fails when an invariant does not hold or something is never reached. A failing
seed is printed with its shortest schedule and the journal; ``--seed N`` shows one run. ``--bugs`` plants each known bug
and fails when the runs do not find it.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence

from tests.simulation.planted import BUGS
from tests.simulation.reached import Reached
from tests.simulation.shrink import shrink
from tests.simulation.simulation import Result, quiet, simulate

SHOWN = 3


def run_seed(seed: int) -> Result:
    return simulate(seed)


def find_bug(name: str, seeds: Sequence[int]) -> int | None:
    """The first seed that finds a planted bug; None where none does."""
    with BUGS[name]():
        return next((seed for seed in seeds if simulate(seed).failure), None)


def report(result: Result) -> None:
    """Print one failure: its seed, the shortest schedule found, and the journal."""
    short = shrink(result)
    print(f"\nseed {result.seed}: {result.failure}")
    print(f"the shortest schedule found ({short.failure}):")
    print("\n".join(short.trace))
    print("faults:", *[f"  {what} ({task}, step {step})" for (task, step), what in short.struck.items()], sep="\n")
    print("journal:", *short.journal[-60:], sep="\n  ")


def results(seeds: Sequence[int], jobs: int) -> Iterator[Result]:
    if jobs == 1:
        yield from map(run_seed, seeds)
        return
    with multiprocessing.Pool(jobs, quiet) as pool:
        yield from pool.imap_unordered(run_seed, seeds, chunksize=20)


def run_seeds(seeds: Sequence[int], jobs: int) -> int:
    reached, failed, began = Reached(), [], time.monotonic()
    for number, result in enumerate(results(seeds, jobs), 1):
        reached.add([result])
        if result.failure:
            failed.append(result)
        if number % 1000 == 0:
            print(f"  {number} seeds, {len(failed)} failed, {time.monotonic() - began:.0f} s", flush=True)
    took = time.monotonic() - began
    rate = len(seeds) / took / jobs
    print(f"{len(seeds)} seeds, {reached.steps} steps in {took:.0f} s: {rate:.1f} seeds/s and core ({jobs} used)")
    lost = sum("never came right" in str(one.failure) for one in failed)
    print(f"facts accepted / lost / checkouts doubled = {reached.accepted} / {lost} / {reached.doubled}")
    print(f"moves: {sum(map(bool, reached.moves.values()))} kinds; pairs of steps: {len(reached.pairs)}; "
          f"faults between them: {sum(reached.between.values())}, {len(reached.between)} kinds")  # fmt: skip
    for result in failed[:SHOWN]:
        report(result)
    missing = reached.missing()
    for what in missing:
        print(f"never reached: {what}")
    print(f"{len(failed)} of {len(seeds)} seeds failed; {len(missing)} things were never reached")
    return 1 if failed or missing else 0


def run_bugs(seeds: Sequence[int], jobs: int) -> int:
    with multiprocessing.Pool(jobs, quiet) as pool:
        names = list(BUGS)
        found = pool.starmap(find_bug, [(name, seeds) for name in names], chunksize=1)
    for name, seed in zip(names, found, strict=True):
        print(f"{'NOT FOUND' if seed is None else f'seed {seed}':>10}  {name}")
    return 1 if None in found else 0


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    options.add_argument("--seeds", default="0:1000", help="which seeds to run, as FIRST:END")
    options.add_argument("--seed", type=int, help="run one seed and show what happened")
    options.add_argument("--bugs", action="store_true", help="plant each known bug, and see that the seeds find it")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes to run in")
    given = options.parse_args()
    quiet()
    if given.seed is not None:
        result = simulate(given.seed, tracing=True)
        print("\n".join([*result.trace, "journal:", *result.journal, f"failure: {result.failure}"]))
        return 1 if result.failure else 0
    first, _, end = given.seeds.partition(":")
    seeds = range(int(first), int(end))
    return run_bugs(seeds, given.jobs) if given.bugs else run_seeds(seeds, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
