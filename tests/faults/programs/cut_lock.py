"""R-05: power cuts at every flash operation of the lock's storing flows.

Arguments: seed, is_full, names of flows (none: all).
"""

import json
import sys

from tests.faults.programs.cuts import Chip, Explorer, Score
from tests.faults.programs.lock_flows import flows


def main():
    seed, is_full, names = (json.loads(word) for word in sys.argv[1:4])
    chip = Chip()
    score = Score()
    explorer = Explorer(chip, score, seed)
    counts = {}
    for flow in flows(chip):
        if names and flow.name not in names:
            continue
        if is_full:
            counts[flow.name] = explorer.explore(flow, depth=2)
        else:
            counts[flow.name] = explorer.explore(flow, every=13, tears=("", "noise"), depth=2, nested_every=9)
    score.line(per_flow=counts, clashes=chip.clashes)


main()
