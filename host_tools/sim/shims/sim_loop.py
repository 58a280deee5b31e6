# Makes MicroPython's asyncio see the site: it waits on the board's line too, and a leap wakes sleeping tasks.
#
# asyncio keeps its own times in the interpreter's ticks, not in the shim's: its queue is written in C and compares
# them itself. So a leap of N ms makes every sleeping task due N ms earlier. Written against asyncio of MicroPython 1.25
# to 1.29.
import select
import sys
import time
from asyncio import core

import _board
from micropython import const

_MAX_WAIT_MS = const(50)  # a scheduled callback (the radio's) cannot end poll()


def _wait_io_event(self, wait_ms):
    # asyncio.core.IOQueue.wait_io_event, with the line as one more stream
    line = _board.stream()
    if line is not None and not hasattr(self, "has_line"):
        self.poller.register(line, select.POLLIN)
        self.has_line = True
    if not 0 <= wait_ms < _MAX_WAIT_MS:
        wait_ms = _MAX_WAIT_MS
    if _board.is_hold_wanted:
        wait_ms = 0
        radio = sys.modules.get("_air_stream")
        if radio is not None and radio.current is not None:
            radio.current.drain()
    said = is_woken = False
    for stream, event in self.poller.ipoll(wait_ms):
        if stream is line:
            said = True
            continue
        is_woken = True
        waiting = self.map[id(stream)]
        if event & ~select.POLLOUT and waiting[0] is not None:
            core._task_queue.push(waiting[0])
            waiting[0] = None
        if event & ~select.POLLIN and waiting[1] is not None:
            core._task_queue.push(waiting[1])
            waiting[1] = None
        if waiting[0] is None and waiting[1] is None:
            self._dequeue(stream)
        elif waiting[0] is None:
            self.poller.modify(stream, select.POLLOUT)
        else:
            self.poller.modify(stream, select.POLLIN)
    if said:
        _board.pump()
    elif _board.is_hold_wanted and not is_woken and not _is_due():
        _board.hold()


def _is_due():
    task = core._task_queue.peek()
    return task is not None and core.ticks_diff(task.ph_key, core.ticks()) <= 0


def _on_leap(ms):
    queue = core._task_queue
    tasks = []
    while queue.peek() is not None:
        tasks.append(queue.pop())
    now = core.ticks()
    for rank in range(len(tasks)):
        left_ms = core.ticks_diff(tasks[rank].ph_key, now) - ms
        # those that are overdue now keep their order
        queue.push(tasks[rank], core.ticks_add(now, max(left_ms, rank - len(tasks))))


def install():
    core.IOQueue.wait_io_event = _wait_io_event
    time.on_leap = _on_leap
