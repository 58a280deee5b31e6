"""What every measurement shares: percentiles, the line that says under which conditions, and the command line."""

import argparse
import asyncio
import contextlib
import io
import os
import statistics
import sys
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_LEAST_WIDTH = 120  # where the output is no terminal
PROFILES = ("ideal", "home", "bad")


def p50(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def p95(values: Sequence[float]) -> float:
    """The 95th percentile, between neighbours where it falls between two; NaN of nothing."""
    if len(values) < 2:
        return p50(values)
    return statistics.quantiles(values, n=20, method="inclusive")[18]


def ms(seconds: float) -> str:
    """Seconds as whole milliseconds; a dash for NaN."""
    return "-" if seconds != seconds else "%d" % round(seconds * 1000)


def spread(values: Sequence[float]) -> list[str]:
    """p50, p95 and worst in milliseconds, as cells of a row; `values` in seconds."""
    return [ms(p50(values)), ms(p95(values)), ms(max(values, default=float("nan")))]


def conditions(seed: int, number: int, **more: object) -> str:
    """The line below each table. The load is that of this moment: of the machine, not of the program alone."""
    load = "load %.1f on %d cores" % (os.getloadavg()[0], os.cpu_count() or 1)
    return "  ".join(["seed %d" % seed, "n %d" % number, load, *("%s %s" % each for each in more.items())])


@contextlib.contextmanager
def quiet_site() -> Iterator[None]:
    """What the bench prints about its site goes nowhere, unless something fails."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told):
            yield
    except BaseException:
        sys.stderr.write(told.getvalue())
        raise


def parser(doc: str, number: int, seed: int = 1) -> argparse.ArgumentParser:
    """Options that every measurement has; `doc` is its module's docstring."""
    made = argparse.ArgumentParser(description=doc.split("\n")[0])
    made.add_argument("-n", type=int, default=number, help="measurements in each series (default %(default)s)")
    made.add_argument("--seed", type=int, default=seed)
    return made


def run(measuring: Coroutine[Any, Any, Any]) -> Any:
    """Run one site's measurement in an event loop of its own, as a program's adapter on the air belongs to its loop."""
    with quiet_site():
        return asyncio.run(measuring)


def show(table: Table) -> None:
    """Print it."""
    terminal = Console()
    Console(width=max(terminal.width, _LEAST_WIDTH)).print(table)
