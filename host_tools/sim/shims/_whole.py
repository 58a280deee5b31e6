# Steps that on a board are the work of C code or of a chip: a Ctrl-C waits until they are over, and so do events.
#
#     _whole.begin()
#     try:
#         ...
#     finally:
#         _whole.end()
#
# Before it interrupts this process the site stops it and looks at `depth` in its memory (board/interrupt.py), so that
# no interrupt comes while `depth` is not 0. One that came just before is raised by `begin`, when nothing has begun.
depth = bytearray(1)  # steps under way, one inside the other


def begin():
    depth[0] += 1
    try:
        if depth[0]:  # the interpreter raises what is pending at a jump
            pass
    except KeyboardInterrupt:
        depth[0] -= 1
        raise


def begin_under_c():
    # `begin` for what C code calls that no exception may leave (littlefs: the next use of its lists would be a crash):
    # an interrupt that came just before is sent again.
    try:
        begin()
    except KeyboardInterrupt:
        depth[0] += 1
        again()


def again():
    # sim_start.py puts the board's way to say it here
    pass


def end():
    depth[0] -= 1  # and no jump follows: what is scheduled must not run before the C code that called us goes on
