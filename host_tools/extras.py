"""Parts of the package that are installed on demand, `pip install NAME[sim]`: which one a missing module belongs to,
and what to run for it.

Owns that question; the answer is in the package's own metadata, which pyproject.toml makes. A module's distribution is
found by its name, so that an extra takes only distributions that are called as what they bring.
"""

import importlib.metadata
import importlib.util
import re
import shlex
import sys

from host_tools import sources
from host_tools.errors import HostError

NAME = "gatehouse-locks"  # of the distribution
CODE = "not_installed"
_FOR_CHECKOUTS = ("setup", "test")
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)[^;]*(?:;.*?extra\s*==\s*['\"](?P<extra>[a-z0-9-]+)['\"])?")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[tuple[str, str]]:
    """(extra, distribution) of all that the package may need; "" is what it always needs. Empty: not installed."""
    try:
        told = importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = [match for match in map(_REQUIREMENT.match, told) if match]
    return [(match["extra"] or "", _normal(match["name"])) for match in found]


def of(module: str) -> str | None:
    """The extra that brings a module; "" if the package always needs it, None if it is none of its."""
    wanted = _normal(module.partition(".")[0])
    extras = [extra for extra, name in requirements() if name == wanted and extra not in _FOR_CHECKOUTS]
    return min(extras, default=None, key=lambda extra: extra != "")


def command(extra: str) -> str:
    """What installs an extra beside the Python that runs this; "" repairs what has no extra."""
    if sources.IS_CHECKOUT:
        return "make setup"
    python, wanted = shlex.quote(sys.executable), shlex.quote("%s[%s]" % (NAME, extra) if extra else NAME)
    if importlib.util.find_spec("pip") is None:
        return "uv pip install --python %s %s" % (python, wanted)
    return "%s -m pip install %s" % (python, wanted)


def missing(error: ModuleNotFoundError) -> HostError | None:
    """What to tell of a module that is not there; None if it is none of the package's requirements."""
    module = (error.name or "").partition(".")[0]
    extra = of(module)
    if extra is None:
        return None
    part = "the extra `%s`" % extra if extra else "a part of its own"
    return HostError(
        CODE, "this command needs %s, which is not installed (%s)" % (part, module), "run: " + command(extra)
    )
