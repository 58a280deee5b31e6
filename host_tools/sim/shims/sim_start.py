# Turns the interpreter into a board: its flash at "/", the shims in front of the built-in modules, ESP32's search path.
#
#   SIM_FLASH=file   the flash image, littlefs on blocks of 4 KiB
#   SIM_FROZEN=1     boot.py and main.py are frozen into the interpreter
#   SIM_PROBE=file   a program of the host that runs before the board's own, to measure it (bench/programs/probe.py)
import os
import sys


def prepare(shims):
    # `shims`: directory of the shims on the host. After this the host's files can be reached through _board.host only.
    import utime

    sys.modules["time"] = utime  # asyncio counts in the interpreter's own ticks, see sim_loop
    sys.path[:] = [".frozen"]
    __import__("asyncio.core")
    del sys.modules["time"]
    sys.path[:] = [shims, ".frozen"]
    import _board
    import _flash
    import vfs

    image = os.getenv("SIM_FLASH")
    blocks = os.stat(image)[6] // 4096
    file = open(image, "r+b")
    _board.host = vfs.VfsPosix()
    _board.image = image
    own = vfs.VfsPosix(shims)
    _board.welcome()
    import time

    sys.modules["time"] = time
    import machine

    sys.modules["machine"] = machine
    import sim_loop

    sim_loop.install()
    vfs.umount("/")
    vfs.mount(_flash.Flash(file, blocks), "/")
    vfs.mount(own, "/.sim", readonly=True)
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib", "/.sim"]
    del sys.argv[:]
    probe = os.getenv("SIM_PROBE")
    if probe:
        exec(_code(_board.host.open, probe, probe), {})


def _code(open_file, path, name):
    # The text is garbage when this returns: a board compiles its start files from flash and never has it on the heap.
    with open_file(path, "r") as file:
        return compile(file.read(), name, "exec")


def _start(path, names):
    # A file on the flash goes before a frozen one, unlike on a chip, so that a measurement can run another program.
    try:
        code = _code(open, path, path[1:])
    except OSError:
        code = None
    if code:
        exec(code, names)
    elif os.getenv("SIM_FROZEN"):
        __import__(path[1:-3])


def run(path, names):
    # Run one of the board's start files; True if the next may follow.
    try:
        _start(path, names)
    except SystemExit:
        import _board

        _board.end("soft")  # leaving the program restarts it, as on a board
    except KeyboardInterrupt as err:
        sys.print_exception(err)
        return False
    except Exception as err:
        sys.print_exception(err)
    return True
