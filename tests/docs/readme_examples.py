#!/usr/bin/python3
"""Runs what README.md shows: its vtac command, its Python example against a daemon, its C example
through the compiler. Skipped (77) without python3-msgpack.

Usage: readme_examples.py SOURCE VTAD VTAC CC
"""
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile

C_PROGRAM = """
#include <stddef.h>
#include <vta/client.h>
void example(struct vta_ndarray *data, struct vta_ndarray *weight, struct vta_ndarray *result);
void example(struct vta_ndarray *data, struct vta_ndarray *weight, struct vta_ndarray *result)
{
    struct vta_error error = { 0 };
    struct vta_run_stats stats = { 0 };
%s
}
"""


def block(text, language):
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"README.md has {len(found)} blocks of {language}, not one"
    return found[0]


def start(vtad):
    """Starts a daemon on a free port; returns it and the port."""
    daemon = subprocess.Popen([vtad, "--listen", "127.0.0.1:0"], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
    for line in daemon.stderr:
        print(line, end="")
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
        if found:
            return daemon, found[1]
    raise AssertionError(f"vtad ended with status {daemon.wait()} before it listened")


def run_python(example, vtad):
    daemon, port = start(vtad)
    try:
        assert example.count("9091") == 1, "the Python example does not name the port once"
        result = subprocess.run([sys.executable, "-c", example.replace("9091", port)],
                                capture_output=True, text=True, timeout=30, check=False)
    finally:
        daemon.terminate()
        daemon.communicate(timeout=30)
    print(result.stdout, result.stderr)
    assert result.returncode == 0, "the Python example fails"
    assert re.match(r"\('vtad \d+\.\d+\.\d+', '1x16_i8w8a32_15_15_18_17'\)\n", result.stdout), \
        result.stdout
    assert daemon.returncode == 0, f"vtad ended with status {daemon.returncode}"


def run_vtac(text, vtac):
    command = re.search(r"^    \$ vtac (matmul .*?-o \S+)$", text, re.MULTILINE)
    assert command, "README.md shows no vtac matmul"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([os.path.abspath(vtac), *shlex.split(command[1])], cwd=folder, check=True)
        assert os.listdir(folder) == ["gemm.vta"], os.listdir(folder)


def main(source, vtad, vtac, *compiler):
    with open(os.path.join(source, "README.md"), encoding="utf-8") as readme:
        text = readme.read()
    subprocess.run([*compiler, "-fsyntax-only", "-Wall", "-Werror", "-xc",
                    "-I" + os.path.join(source, "include"), "-"],
                   input=C_PROGRAM % block(text, "c"), text=True, check=True)
    run_vtac(text, vtac)
    if importlib.util.find_spec("msgpack") is None:
        print("SKIP: the Python example: python3-msgpack is not installed")
        sys.exit(77)
    run_python(block(text, "python"), vtad)


if __name__ == "__main__":
    main(*sys.argv[1:])
