# Turns the interpreter into a board: its flash at "/", the shims in front of the built-in modules, ESP32's search path.
#
#   SIM_FLASH=file   the flash image, littlefs on blocks of 4 KiB
#   SIM_PROBE=file   a program of the host that runs before the board's own, to measure it (bench/programs/probe.py)
import sys


def prepare(shims):
    # `shims`: directory of the shims on the host. After this the host's files can be reached through _board.host only.
    import os

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
    sys.path[:] = ["", ".frozen", "/lib", "/.sim"]  # last: the board's own aioble wins over the stand-in
    del sys.argv[:]
    probe = os.getenv("SIM_PROBE")
    if probe:
        exec(_code(_board.host.open, probe, probe), {})


def _code(open_file, path, name):
    # The text is garbage when this returns: a board compiles its start files from flash and never has it on the heap.
    with open_file(path, "r") as file:
        return compile(file.read(), name, "exec")


def run(path, names):
    # Run one of the board's start files; True if the next may follow.
    try:
        code = _code(open, path, path[1:])
    except OSError:
        return True
    try:
        exec(code, names)
    except SystemExit:
        import _board

        _board.end("soft")  # leaving the program restarts it, as on a board
    except KeyboardInterrupt as err:
        sys.print_exception(err)
        return False
    except Exception as err:
        sys.print_exception(err)
    return True
