"""R-06: power cuts at every flash operation of the gateway's storing flows. Argument: see cuts.run."""

from tests.faults.programs.cuts import run
from tests.faults.programs.gateway_flows import flows

run(flows)
