"""For all tests: a scratch folder for each process, the fault report, `failures / N` of every row, at the end, and a
look whether the run left anything in the repository."""

import ast
import atexit
import functools
import gc
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling


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
    "on_micropython[test_gateway_changes",
    "on_micropython[test_vectors",
    "test_gateway_changes.py",
    "test_an_owner_s_first_day",
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


@functools.cache
def _sharing(path: str) -> set[str]:
    """The tests of a file that share a site, or something else that is made once for the file."""
    functions = [each for each in ast.parse(Path(path).read_text()).body if isinstance(each, ast.FunctionDef)]
    shared = {"shared", "alone"} | {
        each.name
        for each in functions
        if any('scope="module"' in ast.unparse(by).replace("'", '"') for by in each.decorator_list)
    }
    return {each.name for each in functions if shared & {argument.arg for argument in each.args.args}}


def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """`--dist loadgroup`: a test with a site of its own goes to any worker, others stay with those of their file.

    xdist's own scheduler of that name finds no groups with pytest 9.
    """

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path, _, name = nodeid.partition("::")
            is_alone = Path(path).parent.name in _ALONE and name.partition("[")[0] not in _sharing(path)
            return nodeid if is_alone else path

    return Scheduler(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin the long ones first."""
    items.sort(key=_rank)


def pytest_configure(config: pytest.Config) -> None:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # for many small files
    folder = os.environ["GATEHOUSE_SCRATCH"] = tempfile.mkdtemp(prefix="gatehouse-test-", dir=memory)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):  # no test reads or writes the owner's own keys and records
        os.environ[name] = os.path.join(folder, name.lower())
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background; tests interrupt
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(_Report(), "fault-report")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Tree(config.rootpath), "clean-tree")
