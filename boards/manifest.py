# What every Gatehouse build has frozen in: both roles (the file /role chooses one at the start) and the start files.
# Frozen bytecode stays in flash; what a board does not import costs it no RAM.
module("boot.py", base_path="..")
module("main.py", base_path="..")
package("firmware", base_path="..")
