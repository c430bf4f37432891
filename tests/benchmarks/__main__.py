"""Run the suite: ``python -m tests.benchmarks [SUBJECT…] [--json FILE] [--plots DIR] [--rounds N] [--small]``."""

import argparse
import importlib
import json
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import Bench, Figure, Skipped
from tests.benchmarks.machine import describe

SUBJECTS = ("take_in", "apply", "decide", "latency", "growth")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the subjects that are named, or all; 1 where one of them broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure, side by side.")
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(SUBJECTS)}; all if none is named"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw SVG pictures there")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each comparison (5)")
    parser.add_argument("--small", action="store_true", help="only see that everything works; the figures mean nothing")
    options = parser.parse_args(arguments)
    if unknown := set(options.subjects) - set(SUBJECTS):
        parser.error(f"no such subject: {', '.join(sorted(unknown))} (there are {', '.join(SUBJECTS)})")
    bench = Bench(rounds=options.rounds, small=options.small)
    report = measure(bench, options.subjects or SUBJECTS)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plots:
        from tests.benchmarks.plots import draw

        for path in draw(report, options.plots):
            print(f"drawn: {path}")
    return 1 if report["broken"] else 0


def measure(bench: Bench, subjects: Sequence[str]) -> dict[str, Any]:
    """What ``--json`` writes: the machine, its noise, every figure, and what was left out and why."""
    machine = describe()
    bench.say(f"{machine.cpu}, {machine.cores} cores, {machine.kernel}, Python {machine.python}, {machine.server}")
    found: dict[str, list[Figure]] = {}
    broken: dict[str, str] = {}
    for name in subjects:
        subject = importlib.import_module(f"tests.benchmarks.{name}")
        bench.say(f"\n{subject.NAME}")
        began = time.monotonic()
        try:
            found[name] = subject.run(bench)
        except Skipped as reason:
            bench.skip(name, reason)
            continue
        except Exception as error:  # the other subjects are wanted all the same
            broken[name] = f"{type(error).__name__}: {error}"
            bench.say(traceback.format_exc())
            continue
        for line in lines(found[name]):
            bench.say(line)
        bench.say(f"  ({time.monotonic() - began:.0f} s)")
    noise = bench.noise.read()
    bench.say(
        f"\nnoise: one and the same loop took up to {100 * noise.wobble:.0f} % longer ({noise.loops} runs), others "
        f"took {100 * noise.elsewhere:.0f} % of the processors, load {noise.load_before:.1f} to {noise.load_after:.1f}"
    )
    return {
        "machine": asdict(machine),
        "noise": asdict(noise),
        "rounds": bench.rounds,
        "small": bench.small,
        "subjects": {name: [asdict(one) for one in figures] for name, figures in found.items()},
        "skipped": bench.skipped,
        "broken": broken,
    }


def lines(figures: Sequence[Figure]) -> list[str]:
    """Figures as people read them."""
    said, group = [], None
    for one in figures:
        if one.group != group:
            group = one.group
            said.append(f"  {group}")
        name = one.name if one.at is None else f"{one.name}, {one.at:,.0f} {one.along}"
        mark = "" if one.goal is None else f"  [{one.goal}: {'yes' if one.goal.met(one.value) else 'NO'}]"
        said.append(f"    {name:<44} {short(one.value):>10} {one.unit:<10} ±{50 * one.spread:.0f} %{mark}")
        for ratio in one.ratios:
            mark = "" if ratio.goal is None else f"  [{ratio.goal}: {'yes' if ratio.goal.met(ratio.value) else 'NO'}]"
            span = f"({short(ratio.low)} to {short(ratio.high)})"
            said.append(f"    {'':<44} {short(ratio.value):>10} times {ratio.to} {span}{mark}")
        if one.note:
            said.append(f"      {one.note}")
    return said


def short(value: float) -> str:
    """A number in three digits or so."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
