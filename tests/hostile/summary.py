"""What all cases of a run come to, in one line at its end. The root conftest loads this as a plugin."""

import pytest

NAME = "hostile"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases ran; nothing where none did. They may have run in other processes."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
    ]
    # A fuzzer tells its count when it is torn down, whether it went well or not.
    counts: dict[str, tuple[int, float]] = {
        report.nodeid: (int(value[0]), float(value[1]))
        for report in reports
        if report.when == "teardown"
        for name, value in report.user_properties
        if name == NAME and isinstance(value, tuple | list)
    }
    if counts:
        failed = len({report.nodeid for report in reports if report.failed and report.nodeid in counts})
        verdict = f"{failed} fuzzers failed" if failed else "0 undocumented errors, 0 5xx"
        cases, growth = sum(cases for cases, _ in counts.values()), max(growth for _, growth in counts.values())
        terminalreporter.write_line(f"hostile input: {cases:,} cases, {verdict}, peak RSS growth {growth:.0f} MiB")
