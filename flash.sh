#!/bin/sh
# Put the firmware of one role on one board: ./flash.sh gateway|lock PORT
set -eu
cd "$(dirname "$0")"
[ $# -eq 2 ] || { echo "usage: $0 gateway|lock PORT" >&2; exit 2; }
make --silent setup
exec .venv/bin/python -m host_tools.cli flash "$1" "$2"
