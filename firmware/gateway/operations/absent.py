"""Faces, palms and QR codes: named by the open platform, and fitted to no lock that is served here (domain.md 3.12).

Their records are read like all others. Asking for them is answered `unsupported` (-4043), without any radio.
"""

from firmware.lib.errors import Unsupported


def check(op, args):
    """There is nothing that could be asked."""
    raise Unsupported("no lock here takes a %s" % op.split("_")[0])


async def run(job, session):
    """Never reached: `check` refuses."""
    raise Unsupported("no lock here takes it")
