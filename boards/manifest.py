# What every Gatehouse build has frozen in: the tree that `python -m host_tools.boards.bundle ROLE DIR` has written to
# GATEHOUSE_TREE. Frozen bytecode stays in flash; what a board does not import costs it no RAM.
import os

_tree = os.environ["GATEHOUSE_TREE"]
module("boot.py", base_path=_tree)
module("main.py", base_path=_tree)
module("image.py", base_path=_tree)
package("firmware", base_path=_tree)
