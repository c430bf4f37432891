"""What all rows of a run come to, in one line at its end. The root conftest takes the hook from here."""

import pytest

NAME = "storm"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many rows ran, and their totals; nothing where none did. Rows may have run in other processes."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    rows = [totals for report in reports for name, totals in report.user_properties if name == NAME]
    if rows:
        accepted, lost, doubled = (sum(column) for column in zip(*rows, strict=True))
        line = f"{len(rows)} rows, facts accepted / lost / checkouts doubled = {accepted} / {lost} / {doubled}"
        terminalreporter.write_line(f"storm: {line}")
