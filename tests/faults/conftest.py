"""`@pytest.mark.row("R-01", "link drop at each packet")` gives a test the fixture `row` and a line in the report."""

from collections.abc import Callable

import pytest

from tests.faults.rows import Row

_ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The test's line of the report; its failures fail the test when the test returns."""
    return _keep(request, Row(*request.node.get_closest_marker("row").args))


@pytest.fixture
def another_row(request: pytest.FixtureRequest) -> Callable[[str, str], Row]:
    """For a test that judges more than one row: makes further lines, `another_row("T-REM-4", "…")`."""
    return lambda name, what: _keep(request, Row(name, what))


def _keep(request: pytest.FixtureRequest, made: Row) -> Row:
    request.node.stash.setdefault(_ROWS, []).append(made)
    return made


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function):
    rows = pyfuncitem.stash.get(_ROWS, [])
    try:
        result = yield
    finally:
        pyfuncitem.user_properties.extend(("row", made.line()) for made in rows)
    for made in rows:
        made.verdict()
    return result
