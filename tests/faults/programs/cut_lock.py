"""R-05: power cuts at every flash operation of the lock's storing flows. Argument: see cuts.run."""

from tests.faults.programs.cuts import run
from tests.faults.programs.lock_flows import flows

run(flows)
