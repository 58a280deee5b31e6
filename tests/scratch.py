"""Where tests that run on both interpreters keep files: a folder of their own process, so that runs do not meet."""

import os


def scratch(name):
    """A path below this process's folder (GATEHOUSE_SCRATCH, set by whoever starts the tests). Nothing is created."""
    return (os.getenv("GATEHOUSE_SCRATCH") or "/tmp/gatehouse-test") + "/" + name
