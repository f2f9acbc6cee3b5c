#!/usr/bin/python3
"""Counts what a `meson test` run has tested: each Criterion test, not each program.

Reads the testlog.json files given. Prints one line, `PASSED FAILED SKIPPED`, then one line for
each program that failed and each test that was skipped. A program that ran nothing has failed, and
so has a run without any program.
"""
import json
import re
import sys

SYNTHESIS = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+)")
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
SKIP = re.compile(r"^\[SKIP\] (.*)$", re.MULTILINE)
FAIL = re.compile(r"^\[FAIL\] (\S+): ", re.MULTILINE)


def count(entry):
    """(passed, failed, skipped, remarks) of one program."""
    name, result = entry["name"], entry["result"]
    text = (entry.get("stdout") or "") + "\n" + (entry.get("stderr") or "")
    remarks = []
    synthesis, summary = SYNTHESIS.search(text), SUMMARY.findall(text)
    if synthesis:
        passed, failed = int(synthesis[2]), int(synthesis[3])
        skips = SKIP.findall(text)
        skipped = len(skips)
        remarks += [f"skipped: {name}: {skip}" for skip in skips]
        remarks += [f"failed: {name}: {test}" for test in FAIL.findall(text)]
    elif summary:
        passed, failed, skipped = (int(number or 0) for number in summary[-1])
    elif result == "SKIP":
        reason = text.strip().splitlines()[-1:] or ["no reason given"]
        return 0, 0, 1, [f"skipped: {name}: {reason[0]}"]
    else:
        passed, failed, skipped = int(result == "OK"), 0, 0
    if result not in ("OK", "SKIP") and failed == 0:
        failed = 1
        remarks.append(f"failed: {name}: {result}, status {entry.get('returncode')}")
    if passed + failed + skipped == 0:
        failed = 1
        remarks.append(f"failed: {name}: ran no test")
    return passed, failed, skipped, remarks


def main(paths):
    totals, remarks, programs = [0, 0, 0], [], 0
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                if not line.strip():
                    continue
                *numbers, more = count(json.loads(line))
                totals = [a + b for a, b in zip(totals, numbers)]
                remarks += more
                programs += 1
    if programs == 0:
        totals[1] += 1
        remarks.append("failed: there was no test program to run")
    print(*totals)
    for remark in remarks:
        print(remark)


if __name__ == "__main__":
    main(sys.argv[1:])
