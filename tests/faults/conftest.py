"""`@pytest.mark.row("R-01", "link drop at each packet")` gives a test the fixture `row` and a line in the report."""

import pytest

from tests.faults.rows import Row

_ROWS = pytest.StashKey[list]()


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The test's line of the report; its failures fail the test when the test returns."""
    mark = request.node.get_closest_marker("row")
    made = Row(*mark.args)
    request.config.stash.setdefault(_ROWS, []).append(made)
    return made


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function):
    result = yield
    made = pyfuncitem.funcargs.get("row")
    if isinstance(made, Row):
        made.verdict()
    return result


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """failures / N of every row, in order of name."""
    rows = config.stash.get(_ROWS, [])
    if rows:
        terminalreporter.section("faults: failures / N, seed, bound at 95 % for none (3/N)")
        for made in sorted(rows, key=lambda made: made.name):
            terminalreporter.write_line(made.line())
