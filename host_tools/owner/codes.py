"""Which passcodes the host tools give out or accept. Source: security.md CRED-10, domain.md 3.1."""

import secrets

from host_tools.errors import HostError


def is_trivial(code: str) -> bool:
    """All digits equal, or a straight sequence up or down (with wrap-around), or one pair repeated."""
    steps = {(int(b) - int(a)) % 10 for a, b in zip(code, code[1:], strict=False)}
    return steps <= {0} or steps <= {1} or steps <= {9} or (len(code) >= 6 and code == code[:2] * (len(code) // 2))


def random_code(length: int) -> str:
    """`length` random digits that are not trivial and do not begin with 0."""
    while True:
        code = "".join(secrets.choice("0123456789") for _ in range(length))
        if code[0] != "0" and not is_trivial(code):
            return code


def check(code: str, short: bool = False) -> str:
    """The code itself, or HostError: 4 to 9 digits, below 6 only with `short`, never trivial."""
    if not code.isascii() or not code.isdigit() or not 4 <= len(code) <= 9:
        raise HostError("bad_request", "a passcode has 4 to 9 digits", ttlock=-3006)
    if len(code) < 6 and not short:
        raise HostError("bad_request", "a passcode below 6 digits is easy to guess", "add --short if you want it so")
    if is_trivial(code):
        todo = "choose digits that are not a sequence"
        raise HostError("bad_request", "this passcode is too simple", todo, ttlock=-2032)
    return code
