"""What MicroPython has built in and CPython lacks, for the pure core. Owns nothing else."""

try:
    from micropython import const
except ImportError:

    def const(value):  # type: ignore[misc]
        """CPython: the value itself. MicroPython folds the call away when compiling."""
        return value
