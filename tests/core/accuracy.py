#!/usr/bin/env python3
"""Holds the timing model against what real boards were measured to take.

usage: accuracy.py VTA-REPLAY CHECKOUT
Reads the cases in $VTA_SHARED/board (default: ../shared beside the checkout). For every hardware
build: median |predicted/measured - 1| at most 4 %, 90 % of the cases within 12 %, the worst within
20 %.
"""
import json
import os
import statistics
import subprocess
import sys

# Its GEMM steps alone take 94 % of the measured time, which leaves its ALU steps 5 cycles each,
# where every other case of that build needs 26: docs/FIDELITY.md. It counts in median and
# percentile, not as the worst case.
UNEXPLAINED = {"dcgan-46-1x16"}


def main(replay, checkout):
    shared = os.environ.get("VTA_SHARED") or os.path.join(checkout, "..", "shared")
    board = os.path.join(shared, "board")
    if not os.path.isdir(board):
        print(f"SKIPPED: no measured cases at {board} (set VTA_SHARED)", file=sys.stderr)
        return 77
    folders = [os.path.join(board, name) for name in sorted(os.listdir(board))]
    output = subprocess.run([replay, "--time", "--json", *folders], check=True, capture_output=True)
    predictions = json.loads(output.stdout)
    builds = {}
    for folder, row in zip(folders, predictions, strict=True):
        with open(os.path.join(folder, "case.json"), encoding="utf-8") as file:
            case = json.load(file)
        assert case["name"] == row["name"]
        error = abs(row["predicted_s"] / row["measured_s"] - 1)
        builds.setdefault(case["bitstream"], []).append((error, case["name"]))
    failures = 0
    for build, errors in sorted(builds.items()):
        errors.sort()
        median = statistics.median(error for error, _ in errors)
        ninetieth = errors[(len(errors) * 9 + 9) // 10 - 1][0]
        worst = max(row for row in errors if row[1] not in UNEXPLAINED)
        good = median <= 0.04 and ninetieth <= 0.12 and worst[0] <= 0.20
        failures += not good
        print(f"{'ok  ' if good else 'FAIL'} {build}: {len(errors)} cases, median {median:.1%}, "
              f"90th percentile {ninetieth:.1%}, worst {worst[0]:.1%} ({worst[1]})")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
