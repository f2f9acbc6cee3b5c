#!/usr/bin/python3
"""The whole main job from Python, with nothing but msgpack: main_job.py VTAD VTAC

vtac compiles the tutorial's blocked matrix multiply, vtad runs it, and this script, which shares
no code with either, talks to it over TCP, computes the result by itself, and compares.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile

try:
    import msgpack
except ImportError:
    print("SKIPPED: python3-msgpack is not installed", file=sys.stderr)
    sys.exit(77)

BLOCK = 16  # block_in and block_out of 1x16_i8w8a32_15_15_18_17
SIZE = 1024
COUNTERS = {
    "inp_load_nbytes": 4096,
    "wgt_load_nbytes": 1048576,
    "acc_load_nbytes": 0,
    "uop_load_nbytes": 20,
    "out_store_nbytes": 1024,
    "gemm_counter": 4096,
    "alu_counter": 192,
}


class Connection:
    """MessagePack-RPC: [0, msgid, method, params] there, [1, msgid, error, result] back."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 26)
        self.msgid = 0

    def call(self, method, *params):
        self.msgid += 1
        self.socket.sendall(msgpack.packb([0, self.msgid, method, params], use_bin_type=True))
        while True:
            for kind, msgid, error, result in self.unpacker:
                assert kind == 1 and msgid == self.msgid, (kind, msgid)
                if error is not None:
                    raise RuntimeError("%s: %s: %s" % (method, error["code"], error["message"]))
                return result
            received = self.socket.recv(1 << 20)
            if not received:
                raise EOFError("vtad closed the connection")
            self.unpacker.feed(received)


def start_daemon(vtad, scratch):
    """Starts vtad on a free port, which it logs."""
    config = os.path.join(scratch, "vtad.json")
    with open(config, "w") as file:
        file.write("{}")
    daemon = subprocess.Popen(
        [vtad, "--config", config, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True
    )
    for line in daemon.stderr:
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        if found:
            return daemon, int(found.group(1))
    raise RuntimeError("vtad did not start")


def compile_gemm(vtac, scratch):
    path = os.path.join(scratch, "gemm.vta")
    subprocess.run(
        [vtac, "matmul", "--batch", "1", "--in", str(SIZE), "--out", str(SIZE)]
        + ["--block", "1,256,256", "--shift", "8", "--clip", "0,127"]
        + ["--name", "my_gemm", "-o", path],
        check=True,
    )
    with open(path, "rb") as file:
        return file.read()


def signed(values):
    return bytes(value & 0xFF for value in values)


def pack_weights(weights):
    """[out][in] → tiles [out/16][in/16][16][16], as the board reads them."""
    packed = []
    for o in range(0, SIZE, BLOCK):
        for i in range(0, SIZE, BLOCK):
            for row in weights[o : o + BLOCK]:
                packed.extend(row[i : i + BLOCK])
    return signed(packed)


def reference(data, weights):
    """What the kernel computes: products summed in 32 bits, shifted right by 8, clipped."""
    result = []
    for row in weights:
        total = sum(a * b for a, b in zip(data, row))
        result.append(max(0, min(127, total >> 8)))
    return result


def run_once(remote, gemm, buffers, numbers, spread):
    """Random numbers in [-spread, spread), the tutorial's way: write, clear, run, read, compare."""
    data = [numbers.randrange(-spread, spread) for _ in range(SIZE)]
    weights = [[numbers.randrange(-spread, spread) for _ in range(SIZE)] for _ in range(SIZE)]
    remote.call("buffer.write", buffers[0], 0, signed(data))
    packed = pack_weights(weights)
    for at in range(0, len(packed), 1 << 18):
        remote.call("buffer.write", buffers[1], at, packed[at : at + (1 << 18)])

    remote.call("counters.clear")
    run = remote.call("run", gemm["function"], buffers)
    assert run["counters"] == COUNTERS, run["counters"]
    assert run["wall_ns"] > 0
    assert remote.call("counters.get") == COUNTERS

    result = remote.call("buffer.read", buffers[2], 0, SIZE)
    expected = reference(data, weights)
    wrong = [i for i in range(SIZE) if result[i] != expected[i]]
    assert len(result) == SIZE and not wrong, "%d of %d elements differ, first [%d]: %d, not %d" % (
        len(wrong), SIZE, wrong[0], result[wrong[0]], expected[wrong[0]])


def main_job(remote, module, seed):
    hello = remote.call("hello", "main_job.py")
    assert hello["protocol"] == 1 and hello["bitstream"] == "1x16_i8w8a32_15_15_18_17", hello

    uploaded = remote.call("module.upload", "gemm.vta", module)
    assert uploaded["bytes"] == len(module), uploaded
    loaded = remote.call("module.load", "gemm.vta")
    assert loaded["functions"] == ["my_gemm"], loaded
    gemm = remote.call("function.get", loaded["module"], "my_gemm")
    assert [p["bytes"] for p in gemm["params"]] == [SIZE, SIZE * SIZE, SIZE], gemm["params"]
    assert gemm["counters"] == COUNTERS, gemm["counters"]
    buffers = [remote.call("buffer.alloc", p["bytes"]) for p in gemm["params"]]

    # All of int8, as the tutorial does; and less of it, where few results are clipped.
    numbers = random.Random(seed)
    for spread in (128, 16):
        run_once(remote, gemm, buffers, numbers, spread)

    remote.call("counters.clear")
    assert not any(remote.call("counters.get").values())
    print("all %d elements and 7 counters as expected" % SIZE)


def main():
    vtad, vtac = sys.argv[1:]
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed %d" % seed)
    with tempfile.TemporaryDirectory() as scratch:
        module = compile_gemm(vtac, scratch)
        daemon, port = start_daemon(vtad, scratch)
        try:
            main_job(Connection(port), module, seed)
        finally:
            daemon.send_signal(signal.SIGTERM)
            _, log = daemon.communicate(timeout=60)
        assert daemon.returncode == 0, log


if __name__ == "__main__":
    main()
