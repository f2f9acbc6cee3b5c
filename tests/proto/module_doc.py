#!/usr/bin/python3
"""Runs the Python of docs/MODULE.md on the module that it shows; it must print what it promises."""
import contextlib
import io
import os
import re
import sys
import tempfile

try:
    import msgpack  # noqa: F401
except ImportError:
    print("python3-msgpack is not installed")
    sys.exit(77)

text = open(sys.argv[1], encoding="utf-8").read()
lines = re.findall(r"^    [0-9a-f]{8}: ((?:[0-9a-f]{2} ?){16})", text, re.M)
code = re.search(r"```python\n(.*?)```", text, re.S).group(1)
promised = re.search(r"^prints `(.*?)`", text, re.M).group(1)

with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with open("copy.vta", "wb") as module:
        module.write(bytes.fromhex("".join(lines)))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    os.chdir("/")
if printed.getvalue().strip() != promised:
    sys.exit(f"it prints {printed.getvalue().strip()!r}, not {promised!r}")
