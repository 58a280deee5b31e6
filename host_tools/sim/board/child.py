"""Starting child processes that cannot outlive the site."""

import ctypes
import fcntl
import signal
import sys
import termios

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def die_with_parent() -> None:
    """For preexec_fn: on Linux the child is killed when its parent ends, however that ends."""
    if _prctl:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def own_terminal() -> None:
    """For preexec_fn, in a new session: standard input is the controlling terminal, its hang-up the child's end."""
    die_with_parent()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
