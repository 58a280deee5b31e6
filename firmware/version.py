"""The version of the firmware and of the host tools, which are released together, and its day."""

VERSION = "0.1.0"
# Midnight UTC of the version's day (2026-11-01), Unix seconds: no board that runs it has seen an earlier time. A build
# with SOURCE_DATE_EPOCH has that in its place, if it is later (host_tools/boards/sources.py).
BUILT = 1793491200
