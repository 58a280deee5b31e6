# What a simulated board runs: micropython -i sim_boot.py, environment as in sim_start.py and _board.py.
#   SIM_RAW=1   soft reset out of the raw REPL: main.py is left out, as on a board
import os
import sys

import sim_start

sim_start.prepare(sys.path[0])
sim_start.run(globals(), os.getenv("SIM_RAW"))
