"""`@pytest.mark.row("R-01", "link drop at each packet")` gives a test the fixture `row` and a line in the report."""

import pytest

from tests.faults.rows import Row


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The test's line of the report; its failures fail the test when the test returns."""
    return Row(*request.node.get_closest_marker("row").args)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function):
    made = pyfuncitem.funcargs.get("row")
    if not isinstance(made, Row):
        return (yield)
    try:
        result = yield
    finally:
        pyfuncitem.user_properties.append(("row", made.line()))
    made.verdict()
    return result
