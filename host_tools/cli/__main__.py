"""`python -m host_tools.cli`: the same as the console script `gatehouse`."""

from host_tools.cli.main import app

if __name__ == "__main__":
    app(prog_name="gatehouse")
