# One board whose `bluetooth` a test drives: Python lines come on stdin, each answered by one line.
#   "= VALUE" its value, "! NUMBER" the OSError's number, "? KIND TEXT" any other exception
# Events are lines too, as they happen: "E (EVENT, [ARGUMENTS])", byte strings copied, UUIDs as text.
# Secrets are kept in the file argv[1], the board's flash. `answers`: event -> what the handler does before it returns.
import select
import sys

import bluetooth
from bluetooth import UUID

_GET_SECRET, _SET_SECRET = 29, 30

ble = bluetooth.BLE()
answers = {}
kept = []  # what events carried, kept beyond the event when `keep` is set
keep = False
flash = sys.argv[1]
secrets = []  # [kind, key, value], oldest first
try:
    with open(flash) as f:
        secrets = eval(f.read())
except OSError:
    pass


def save():
    with open(flash, "w") as f:
        f.write(repr(secrets))


def get_secret(kind, index, key):
    found = [each[2] for each in secrets if each[0] == kind and (key is None or each[1] == bytes(key))]
    return found[index] if index < len(found) else None


def set_secret(kind, key, value):
    key = bytes(key)
    held = [each for each in secrets if each[0] == kind and each[1] == key]
    for each in held:
        secrets.remove(each)
    if value is not None:
        secrets.append([kind, key, bytes(value)])
    save()
    return bool(held) or value is not None


def plain(value):
    if isinstance(value, UUID):
        return str(value)
    return bytes(value) if isinstance(value, memoryview) else value


def irq(event, data):
    print("E", (event, [plain(each) for each in data]))
    if keep:
        kept.append(data)
    if event in answers:
        return answers[event](*data)
    if event == _GET_SECRET:
        return get_secret(*data)
    if event == _SET_SECRET:
        return set_secret(*data)


def serve(line):
    try:
        try:
            print("=", repr(eval(line, globals())))
        except SyntaxError:
            exec(line, globals())
            print("= None")
    except OSError as err:
        print("!", err.errno)
    except Exception as err:
        print("?", type(err).__name__, err)


ble.irq(irq)
print("up")
poll = select.poll()
poll.register(sys.stdin, select.POLLIN)
while True:
    if poll.poll(2):
        line = sys.stdin.readline()
        if not line:
            break
        serve(line.strip())
