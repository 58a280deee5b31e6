# Turns the interpreter into a board: its flash at "/", the shims in front of the built-in modules, ESP32's search path.
#
#   SIM_FLASH=file   the flash image, littlefs on blocks of 4 KiB
#   SIM_FROZEN=1     boot.py and main.py are frozen into the interpreter
#   SIM_PROBE=file   a program of the host that runs before the board's own, to measure it (bench/programs/probe.py)
import os
import sys


def prepare(shims):
    # `shims`: directory of the shims on the host. After this the host's files can be reached through _board.host only.
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
    sys.atexit(_left)
    probe = os.getenv("SIM_PROBE")
    if probe:
        exec(_code(_board.host.open, probe, probe), {})
    import _whole
    import uctypes

    _whole.again = lambda: _board.post("again")
    _board.post("ready", uctypes.addressof(_whole.depth))  # from here on somebody at the console can interrupt


def _left():
    # The prompt was left, by Ctrl-D or SystemExit: that restarts the program, as on a board.
    import _board

    _board.end("soft")


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


def run(names, is_raw):
    # Run the board's start files. Whatever happens the prompt comes afterwards, as on a board; a Ctrl-C in between the
    # files leaves them out, too.
    for name in ("os", "sys", "sim_start"):  # of sim_boot.py, which a board's program does not see
        names.pop(name, None)
    try:
        _run("/boot.py", names)
        if not is_raw:
            _run("/main.py", names)
    except KeyboardInterrupt as err:
        sys.print_exception(err)


def _run(path, names):
    try:
        _start(path, names)
    except SystemExit:
        _left()  # leaving the program restarts it, as on a board
    except KeyboardInterrupt:
        raise
    except Exception as err:
        sys.print_exception(err)
