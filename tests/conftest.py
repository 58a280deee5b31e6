"""For all tests: a scratch folder for each process, the fault report, `failures / N` of every row, at the end, and a
look whether the run left anything in the repository."""

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

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


class _Tree:
    """Fails a run that leaves files in the repository's root, where a board's program or a tool put them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._before = set(self._names())

    def _names(self) -> list[str]:
        return [path.name for path in self._root.iterdir() if path.name[0] not in "._"]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.left = sorted(set(self._names()) - self._before)
        if self.left:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if self.left:
            terminalreporter.write_line("left in the repository: " + ", ".join(self.left), red=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()  # the firmware collects garbage often: what pytest itself has loaded need not be looked at each time


# The longest tests, first to last: begun first, so that no worker is left alone with one. A hint that costs nothing
# when it is out of date.
_LONG = (
    "test_lock_outlives_a_power_cut_at_every_flash_operation",
    "test_passcodes.py",
    "test_cards.py",
    "test_ekeys.py",
    "test_update.py",
    "test_demo.py",
    "test_heap.py",
    "test_gateway_outlives_a_power_cut_at_every_flash_operation",
    "test_on_micropython.py",
    "tests/faults/",
    "tests/system/",
    "tests/host/",
)
_ALONE = ("faults", "system", "host")  # folders whose tests each have a site of their own, unless a fixture shares it


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, part in enumerate(_LONG) if part in item.nodeid), len(_LONG))


def _shares(item: pytest.Item) -> bool:
    """Whether it runs with the other tests of its file: one of its fixtures is the module's, or it is a quick one."""
    if item.path.parent.name not in _ALONE:
        return True
    fixtures = getattr(item, "_fixtureinfo", None)
    defined = (each[-1] for each in fixtures.name2fixturedefs.values()) if fixtures else ()
    return any(each.scope == "module" for each in defined)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one worker runs at a stretch with `--dist loadgroup`, and in which order it is begun."""
    items.sort(key=_rank)
    for item in items:
        if _shares(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))


def pytest_configure(config: pytest.Config) -> None:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # for many small files
    folder = os.environ["GATEHOUSE_SCRATCH"] = tempfile.mkdtemp(prefix="gatehouse-test-", dir=memory)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config.pluginmanager.register(_Report(), "fault-report")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Tree(config.rootpath), "clean-tree")
