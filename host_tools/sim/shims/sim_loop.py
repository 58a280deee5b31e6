# Makes MicroPython's asyncio see the site: it waits on the board's line too, and a leap wakes sleeping tasks.
#
# asyncio keeps its own times in the interpreter's ticks, not in the shim's: its queue is written in C and compares
# them itself. So a leap of N ms makes every sleeping task due N ms earlier. Those that are due at once are woken one
# after the other, each when all that the one before has caused is done, as it is when time passes: an inner deadline
# comes before the outer one that guards it. Written against asyncio of MicroPython 1.25 to 1.29.
import select
import sys
import time
from asyncio import core

import _board
import utime
from micropython import const

_MAX_WAIT_MS = const(50)  # a scheduled callback (the radio's) cannot end poll()
_LATE_MS = const(400000000)  # days; ticks of 30 bits compare over six

_late = []  # what a leap made due, first one first: (task, its key in the queue)


def _wait_io_event(self, wait_ms):
    # asyncio.core.IOQueue.wait_io_event, with the line as one more stream. A negative time: every task waits for a
    # stream, and asyncio takes it that there is a task to run when this returns.
    _look(self, wait_ms)
    while wait_ms < 0 and core._task_queue.peek() is None:
        _look(self, wait_ms)


def _look(self, wait_ms):
    line = _board.stream()
    if line is not None and not hasattr(self, "has_line"):
        self.poller.register(line, select.POLLIN)
        self.has_line = True
    if not 0 <= wait_ms < _MAX_WAIT_MS:
        wait_ms = _MAX_WAIT_MS
    if _late:
        wait_ms = 0
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
    elif not is_woken and not _is_due():
        if _late:
            _wake_next()
        elif _board.is_hold_wanted:
            _board.hold()


def _is_due():
    task = core._task_queue.peek()
    return task is not None and core.ticks_diff(task.ph_key, core.ticks()) <= 0


def _wake_next():
    while _late:
        task, key = _late.pop(0)
        if task.ph_key == key:  # else it was cancelled meanwhile
            core._task_queue.remove(task)
            core._task_queue.push(task)
            return


def _on_leap(ms):
    queue = core._task_queue
    tasks = []
    while queue.peek() is not None:
        tasks.append(queue.pop())
    now = core.ticks()
    late_keys = [key for _, key in _late]  # of the leap before
    del _late[:]
    for task in tasks:
        left_ms = core.ticks_diff(task.ph_key, now)
        if left_ms > ms and task.ph_key not in late_keys:
            key = core.ticks_add(now, left_ms - ms)
        else:
            key = core.ticks_add(now, _LATE_MS + len(_late))
            _late.append((task, key))
        queue.push(task, key)


def install():
    core.ticks = utime.ticks_ms
    core.ticks_add = utime.ticks_add
    core.ticks_diff = utime.ticks_diff
    core.IOQueue.wait_io_event = _wait_io_event
    time.on_leap = _on_leap
