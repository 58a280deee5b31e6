"""For all tests: a scratch folder for each process, and the fault report, `failures / N` of every row, at the end."""

import atexit
import os
import shutil
import tempfile

import pytest


class _Report:
    """Gathers the rows' lines from the reports of their tests, which cross from worker to main process."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.lines += [str(value) for name, value in report.user_properties if name == "row"]

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if self.lines:
            terminalreporter.section("faults: failures / N, seed, bound at 95 % for none (3/N)")
            for line in sorted(self.lines):
                terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    folder = os.environ["GATEHOUSE_SCRATCH"] = tempfile.mkdtemp(prefix="gatehouse-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config.pluginmanager.register(_Report(), "fault-report")
