#!/usr/bin/python3
"""Modules that TVM compiled, through a real daemon: modules.py VTAD. Every number is checked, and the
counters; each kernel is called again and again in one session, because a kernel may leave a token
behind that its next call expects.

They lie in the folder that VTA_SHARED names (default: ../shared beside the checkout); without it the
test is skipped. The client is this file's own.
"""
import json
import operator
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

INT, OPAQUE, NULL, TENSOR, MODULE, FUNCTION, STRING, BYTES = 0, 3, 4, 7, 9, 10, 11, 12
INIT, CALL, RETURN, COPY_FROM, COPY_TO, COPY_ACK, GET, FREE_DATA, ALLOC = 2, 3, 4, 6, 7, 8, 9, 14, 17
EXT_DEV = 12


class Tensor:
    def __init__(self, bits, shape, data=0):
        self.bits, self.shape, self.data = bits, shape, data

    def packed(self):
        return (struct.pack("<Qiii", self.data, EXT_DEV, 0, len(self.shape))
                + struct.pack("<BBH", 0, self.bits, 1)
                + struct.pack(f"<{len(self.shape)}q", *self.shape) + struct.pack("<Q", 0))

    def count(self):
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    def format(self):
        return f"<{self.count()}{'b' if self.bits == 8 else 'i'}"


class Handle:
    def __init__(self, code, value):
        self.code, self.value = code, value


def sequence(*values):
    codes, body = [], b""
    for value in values:
        if value is None:
            codes.append(NULL)
        elif isinstance(value, int):
            codes.append(INT)
            body += struct.pack("<q", value)
        elif isinstance(value, (str, bytes)):
            codes.append(STRING if isinstance(value, str) else BYTES)
            raw = value.encode() if isinstance(value, str) else value
            body += struct.pack("<Q", len(raw)) + raw
        elif isinstance(value, Tensor):
            codes.append(TENSOR)
            body += value.packed()
        else:
            codes.append(value.code)
            body += struct.pack("<Q", value.value)
    return struct.pack(f"<i{len(codes)}i", len(codes), *codes) + body


class Session:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(struct.pack("<ii", 0xFF271, 7) + b"client:")
        assert self.read(15) == struct.pack("<ii", 0xFF271, 7) + b"server:"
        assert self.ask(INIT, struct.pack("<Q", 5) + b"0.8.0" + sequence()) == [None]

    def read(self, nbytes):
        got = bytearray()
        while len(got) < nbytes:
            more = self.socket.recv(nbytes - len(got))
            assert more, "the server closed the connection"
            got += more
        return bytes(got)

    def ask(self, code, body):
        """The values of the answer, or the bytes of a copy."""
        self.socket.sendall(struct.pack("<Qi", 4 + len(body), code) + body)
        raw = self.read(struct.unpack("<Q", self.read(8))[0])
        answer, = struct.unpack_from("<i", raw)
        if answer == COPY_ACK:
            return raw[4:]
        values = self.values(raw)
        assert answer == RETURN, values[0]
        return values

    @staticmethod
    def values(raw):
        count, = struct.unpack_from("<i", raw, 4)
        codes = struct.unpack_from(f"<{count}i", raw, 8)
        at, values = 8 + 4 * count, []
        for code in codes:
            if code == NULL:
                values.append(None)
            elif code in (STRING, BYTES):
                size, = struct.unpack_from("<Q", raw, at)
                text = raw[at + 8:at + 8 + size]
                values.append(text.decode() if code == STRING else text)
                at += 8 + size
            else:
                values.append(struct.unpack_from("<q", raw, at)[0])
                at += 8
        return values

    def function(self, name):
        return Handle(FUNCTION, self.ask(GET, sequence(name))[0])

    def call(self, function, *values):
        """What it returns; modules and functions as handles."""
        if isinstance(function, str):
            function = self.function(function)
        code, value = self.ask(CALL, struct.pack("<Q", function.value) + sequence(*values))[:2]
        return Handle(code, value) if code in (MODULE, FUNCTION) else value

    def kernel(self, path, name):
        file = os.path.basename(path)
        with open(path, "rb") as module:
            self.call("tvm.rpc.server.upload", file, module.read())
        module = self.call("tvm.rpc.server.load_module", file)
        return module, self.call("tvm.rpc.server.ModuleGetFunction", module, name, 0)

    def tensor(self, bits, shape, numbers=None):
        tensor = Tensor(bits, shape)
        tensor.data = self.ask(ALLOC, sequence(tensor, None))[0]
        if numbers is not None:
            raw = struct.pack(tensor.format(), *numbers)
            self.ask(COPY_TO, tensor.packed() + struct.pack("<Q", len(raw)) + raw)
        return tensor

    def numbers(self, tensor):
        raw = self.ask(COPY_FROM, tensor.packed()
                       + struct.pack("<Q", struct.calcsize(tensor.format())))
        return list(struct.unpack(tensor.format(), raw))

    def clear(self, tensor):
        raw = bytes(struct.calcsize(tensor.format()))
        self.ask(COPY_TO, tensor.packed() + struct.pack("<Q", len(raw)) + raw)


# ---- What the kernels compute ------------------------------------------------------------------

def dot(a, b):
    return sum(map(operator.mul, a, b))


def clip(value):
    return max(0, min(127, value))


def dense(data, weight, inputs, outputs):
    """weight is tiled: 16 outputs by 16 inputs."""
    blocks = inputs // 16
    rows = []
    for output in range(outputs):
        row = []
        for block in range(blocks):
            at = ((output // 16 * blocks + block) * 16 + output % 16) * 16
            row += weight[at:at + 16]
        rows.append(row)
    return [clip(dot(row, data) >> 8) for row in rows]


def conv3x3(data, weight, bias, size=14, blocks=4):
    """Padding of one; data is channel block, row, column, channel. The bias comes after the shift."""
    zeros = [0] * 16

    def pixel(block, y, x):
        if not (0 <= y < size and 0 <= x < size):
            return zeros
        at = ((block * size + y) * size + x) * 16
        return data[at:at + 16]

    patches = {}
    for y in range(size):
        for x in range(size):
            patches[y, x] = [value for block in range(blocks) for dy in range(3) for dx in range(3)
                             for value in pixel(block, y + dy - 1, x + dx - 1)]
    result = []
    for out_block in range(blocks):
        kernels = []
        for out in range(16):
            kernels.append([value for block in range(blocks) for tap in range(9)
                            for value in weight[(((out_block * blocks + block) * 9 + tap) * 16
                                                 + out) * 16:][:16]])
        for y in range(size):
            for x in range(size):
                result += [clip((dot(kernels[out], patches[y, x]) >> 8)
                                + bias[out_block * 16 + out]) for out in range(16)]
    return result


# ---- Checks ------------------------------------------------------------------------------------

TUTORIAL = {"inp_load_nbytes": 4096, "wgt_load_nbytes": 1048576, "acc_load_nbytes": 0,
            "uop_load_nbytes": 20, "out_store_nbytes": 1024, "gemm_counter": 4096,
            "alu_counter": 192}


def check_calls(session, function, arguments, want, counters, calls):
    """So many calls; the counters are cleared before each, and the same after each."""
    result = arguments[-1]
    for call in range(calls):
        session.clear(result)
        session.call("vta.simulator.profiler_clear")
        session.call(function, *arguments)
        got = session.numbers(result)
        wrong = [i for i in range(len(want)) if got[i] != want[i]]
        assert not wrong, f"call {call}: {len(wrong)} of {len(want)} numbers differ, the first at " \
            f"{wrong[0]}: {got[wrong[0]]}, not {want[wrong[0]]}"
        now = json.loads(session.call("vta.simulator.profiler_status"))
        if counters is None:
            counters = now
        assert now == counters, f"call {call}: {now}, not {counters}"
    session.call("vta.simulator.profiler_clear")
    for _ in range(calls):
        session.call(function, *arguments)
    now = json.loads(session.call("vta.simulator.profiler_status"))
    assert now == {name: calls * value for name, value in counters.items()}, now


def numbers(seed, count, least=-128, most=127):
    source = random.Random(seed)
    return [source.randint(least, most) for _ in range(count)]


def check_gemm(port, path, calls):
    session = Session(port)
    module, function = session.kernel(path, "my_gemm")
    data, weight = numbers(1, 1024), numbers(2, 1024 * 1024)
    arguments = [session.tensor(8, (1, 64, 1, 16), data),
                 session.tensor(8, (64, 64, 16, 16), weight), session.tensor(8, (1, 64, 1, 16))]
    want = dense(data, weight, 1024, 1024)
    check_calls(session, function, arguments, want, TUTORIAL, calls)
    timed = session.call("runtime.RPCTimeEvaluator", module, "my_gemm", EXT_DEV, 0, 2, 3, 0, "")
    seconds = struct.unpack("<3d", session.call(timed, *arguments))
    assert all(0 < value < 10 for value in seconds), seconds
    assert session.numbers(arguments[-1]) == want


def check_foreign(port, path, emulator):
    """Code for a board's processor: the same, or refused for want of an emulator."""
    name = os.path.basename(path)
    try:
        check_gemm(port, path, 3)
        print(f"{name}, 3 calls: ok")
        assert emulator, f"{name} was loaded without an emulator"
    except AssertionError as refusal:
        if emulator or "libunicorn2" not in str(refusal):
            raise
        print(f"{name}: refused, as there is no emulator")


def check_both(port, folder):
    """Two emulated processors, and this one, in one session."""
    session = Session(port)
    data, weight = numbers(1, 1024), numbers(2, 1024 * 1024)
    arguments = [session.tensor(8, (1, 64, 1, 16), data),
                 session.tensor(8, (64, 64, 16, 16), weight), session.tensor(8, (1, 64, 1, 16))]
    want = dense(data, weight, 1024, 1024)
    for name in ("arm/gemm-armv7.o", "arm/gemm-aarch64.o", "gemm.o", "arm/gemm-armv7.o"):
        _, function = session.kernel(os.path.join(folder, name), "my_gemm")
        check_calls(session, function, arguments, want, TUTORIAL, 2)
    print("three processors in one session: ok")


def check_dense(port, path, calls):
    session = Session(port)
    _, function = session.kernel(path, "kernel")
    data, weight = numbers(3, 256), numbers(4, 128 * 256)
    arguments = [session.tensor(8, (1, 16, 1, 16), data), session.tensor(8, (8, 16, 16, 16), weight),
                 session.tensor(8, (1, 8, 1, 16))]
    check_calls(session, function, arguments, dense(data, weight, 256, 128), None, calls)


def check_conv(port, path, calls):
    session = Session(port)
    _, function = session.kernel(path, "kernel")
    data, weight = numbers(5, 64 * 196), numbers(6, 64 * 64 * 9)
    bias = numbers(7, 64, -200, 200)
    arguments = [session.tensor(8, (1, 4, 14, 14, 1, 16), data),
                 session.tensor(8, (4, 4, 3, 3, 16, 16), weight),
                 session.tensor(32, (1, 4, 1, 1, 1, 16), bias),
                 session.tensor(8, (1, 4, 14, 14, 1, 16))]
    check_calls(session, function, arguments, conv3x3(data, weight, bias), None, calls)


def start(vtad, scratch):
    config = os.path.join(scratch, "vtad.json")
    with open(config, "w", encoding="utf-8") as file:
        file.write("{}")
    daemon = subprocess.Popen([vtad, "--config", config, "--listen", "127.0.0.1:0",
                               "--tvm-scratch", scratch], stderr=subprocess.PIPE, text=True)
    for line in daemon.stderr:
        found = re.match(r"listening on 127\.0\.0\.1:(\d+)", line)
        if found:
            return daemon, int(found.group(1))
    raise SystemExit("vtad did not start")


def main(vtad, emulator=""):
    here = os.path.dirname(os.path.abspath(__file__))
    shared = os.environ.get("VTA_SHARED", os.path.join(here, "..", "..", "..", "shared"))
    folder = os.path.join(shared, "tvm")
    if not os.path.isdir(folder):
        print(f"SKIPPED: no compiled modules: {folder} is not there (VTA_SHARED)", file=sys.stderr)
        return 77
    scratch = tempfile.mkdtemp(prefix="vtad-test-")
    os.chmod(scratch, 0o711)
    daemon, port = start(vtad, scratch)
    checks = [("gemm.o", check_gemm), ("gemm.so", check_gemm), ("gemm.tar", check_gemm),
              ("dense.o", check_dense), ("conv3x3_pad.o", check_conv)]
    try:
        for calls in (1, 2, 10):
            for name, check in checks:
                check(port, os.path.join(folder, name), calls)
                print(f"{name}, {calls} calls: ok")
        for name in ("gemm_armv7.o", "arm/gemm-armv7.o", "arm/gemm-aarch64.o"):
            check_foreign(port, os.path.join(folder, name), emulator == "emulator")
        if emulator:
            check_both(port, folder)
    finally:
        daemon.terminate()
        daemon.stderr.read()
        status = daemon.wait()
        shutil.rmtree(scratch)
    assert status == 0, status
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
