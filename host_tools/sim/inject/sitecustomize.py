"""Python loads this by itself in a program that `gatehouse sim run` starts: its bleak gets the simulated air.

Owns that a program which never uses Bluetooth notices nothing; the backend is `host_tools.sim.ble.bleak_air`. A program
of another environment uses what it has of our backend's dependencies, and ours where it has none.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = "GATEHOUSE_ROOT"  # where host_tools lies
_OURS = "GATEHOUSE_PACKAGES"  # folder of our packages


class _AfterBleak(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets bleak load as it does, and then makes the air its default backend."""

    _loader: importlib.abc.Loader

    def find_spec(self, name, path=None, target=None):
        if name != "bleak":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        for name in (_ROOT, _OURS):
            folder = os.environ.get(name)
            if folder and folder not in sys.path:
                sys.path.append(folder)
        from host_tools.sim.ble import bleak_air

        bleak_air.install()


def _next_sitecustomize():
    """The environment's own, which stands behind ours on the path."""
    place = importlib.machinery.PathFinder.find_spec(
        "sitecustomize", [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
    )
    if place is not None and place.loader is not None:
        place.loader.exec_module(importlib.util.module_from_spec(place))


sys.meta_path.insert(0, _AfterBleak())
_next_sitecustomize()
