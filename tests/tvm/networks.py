#!/usr/bin/python3
"""Networks that TVM compiled, through a real daemon: networks.py VTAD [MACHINE]. Outputs and counters
of every way in which a client sets one up are compared with what TVM's own server gave; then many
sessions run one at once, of which some break off.

They lie in the folder that VTA_SHARED names (default: ../shared beside the checkout); without it the
test is skipped. On another machine's code (armv7, aarch64) floats may differ in the last places.
"""
import json
import os
import random
import shutil
import struct
import sys
import tempfile
import threading
import time

import modules
from modules import BYTES, CALL, COPY_FROM, COPY_TO, EXT_DEV, FUNCTION, MODULE, Handle

CPU = 1
DEVICE, NDARRAY = 6, 13
FREE_HANDLE, FREE_DATA, ALLOC = 10, 14, 17


class Remote:
    """A tensor at the server: what CopyFromRemote and CopyToRemote name."""

    def __init__(self, head, nbytes, handle=None):
        self.head, self.nbytes, self.handle = head, nbytes, handle


class Device:
    def __init__(self, kind):
        self.kind = kind


def value(item):
    if item is None:
        return 4, b""
    if isinstance(item, int):
        return 0, struct.pack("<q", item)
    if isinstance(item, str):
        return 11, struct.pack("<Q", len(item.encode())) + item.encode()
    if isinstance(item, bytes):
        return 12, struct.pack("<Q", len(item)) + item
    if isinstance(item, Device):
        return DEVICE, struct.pack("<ii", item.kind, 0)
    if isinstance(item, Remote):
        return 7, item.head
    return item.code, struct.pack("<Q", item.value)


def sequence(*items):
    values = [value(item) for item in items]
    return (struct.pack(f"<i{len(values)}i", len(values), *(code for code, _ in values))
            + b"".join(body for _, body in values))


class Session(modules.Session):
    def call(self, function, *items):
        """What it returns: a value, a handle, or a tensor at the server."""
        if isinstance(function, str):
            function = self.function(function)
        body = struct.pack("<Q", function.value) + sequence(*items)
        self.socket.sendall(struct.pack("<Qi", 4 + len(body), CALL) + body)
        raw = self.read(struct.unpack("<Q", self.read(8))[0])
        code, count, kind = struct.unpack_from("<iii", raw)
        at = 8 + 4 * count
        if code == modules.RETURN and count == 3 and kind == 0:
            return self.tensor_at(raw, at + 8)
        values = self.values(raw)
        assert code == modules.RETURN, values[0]
        code = values[0]
        return Handle(code, values[1]) if code in (MODULE, FUNCTION) else values[1]

    @staticmethod
    def tensor_at(raw, at):
        ndim, = struct.unpack_from("<i", raw, at + 16)
        bits, lanes = struct.unpack_from("<BH", raw, at + 21)
        shape = struct.unpack_from(f"<{ndim}q", raw, at + 24)
        nbytes = bits * lanes // 8
        for extent in shape:
            nbytes *= extent
        end = at + 24 + 8 * ndim + 8
        return Remote(raw[at:end], nbytes, struct.unpack_from("<Q", raw, end)[0])

    def write(self, tensor, raw):
        assert len(raw) == tensor.nbytes
        self.ask(COPY_TO, tensor.head + struct.pack("<Q", len(raw)) + raw)

    def numbers_of(self, tensor):
        return self.ask(COPY_FROM, tensor.head + struct.pack("<Q", tensor.nbytes))

    def free(self, handle, code):
        self.ask(FREE_HANDLE, sequence(Handle(3, handle), code))

    def load(self, name, raw):
        self.call("tvm.rpc.server.upload", name, raw)
        return self.call("tvm.rpc.server.load_module", name)

    def member(self, module, name):
        return self.call("tvm.rpc.server.ModuleGetFunction", module, name, 0)


class Network:
    """A folder: a graph, its libraries, parameters, and what comes out of it."""

    def __init__(self, folder, machine):
        self.name, self.machine, self.folder = os.path.basename(folder), machine, folder
        self.graph = self.read("graph.json").decode()
        self.params, self.input = self.read("params.bin"), self.read("input.f32")
        self.output = self.read("output.f32")
        self.counters = json.loads(self.read("counters.json"))
        self.library = self.read(f"graphlib-{machine}.tar")
        self.factory = self.read(f"factory-{machine}.tar", optional=True)
        self.nodes = json.loads(self.graph)["nodes"]

    def read(self, name, optional=False):
        path = os.path.join(self.folder, name)
        if optional and not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return file.read()

    def check(self, got, what):
        """The same bits on this machine; on another, to 1e-5, and the ten largest in order."""
        if got == self.output:
            return
        count = len(self.output) // 4
        want, have = struct.unpack(f"<{count}f", self.output), struct.unpack(f"<{count}f", got)
        worst = max(abs(a - b) for a, b in zip(want, have))
        assert self.machine != "x86_64", f"{self.name}, {what}: outputs differ by up to {worst}"
        assert worst <= 1e-5, f"{self.name}, {what}: outputs differ by up to {worst}"

        def largest(numbers):
            return sorted(range(count), key=lambda i: -numbers[i])[:10]
        assert largest(want) == largest(have), f"{self.name}, {what}: another order"

    def run(self, session, module, what):
        """Sets the input by the tensor that get_input gives, runs, compares outputs and counters."""
        session.write(session.call(session.member(module, "get_input"), "data"), self.input)
        session.call("vta.simulator.profiler_clear")
        session.call(session.member(module, "run"))
        counters = json.loads(session.call("vta.simulator.profiler_status"))
        output = session.call(session.member(module, "get_output"), 0)
        self.check(session.numbers_of(output), what)
        assert counters == self.counters, f"{self.name}, {what}: {counters}"
        session.free(output.handle, NDARRAY)


# ---- Every way to set one up ---------------------------------------------------------------------

def create(session, network, name, library, *devices):
    pairs = [number for device in devices for number in (device, 0)]
    return session.call(f"tvm.{name}.create", network.graph, library, *pairs)


def check_legacy(port, network):
    """Graph, library and parameters apart; the parameters one by one, and at once."""
    session = Session(port)
    library = session.load("graphlib.tar", network.library)
    module = create(session, network, "graph_executor", library, EXT_DEV)
    load = session.member(module, "load_params")
    session.call(load, network.params)
    network.run(session, module, "load_params")
    network.run(session, module, "again")
    second = create(session, network, "graph_runtime", library, EXT_DEV, CPU)
    get, inputs = session.member(module, "get_input"), session.member(second, "get_input")
    for index in range(session.call(session.member(module, "get_num_inputs"))):
        tensor = session.call(get, index)
        session.write(session.call(inputs, index), session.numbers_of(tensor))
    network.run(session, second, "two devices")
    third = create(session, network, "graph_executor", library, EXT_DEV)
    session.call(session.member(third, "share_params"), module, network.params)
    network.run(session, third, "shared parameters")
    session.free(module.value, MODULE)
    network.run(session, third, "parameters of a graph that is gone")


def check_zero_copy(port, network):
    session = Session(port)
    library = session.load("graphlib.tar", network.library)
    module = create(session, network, "graph_executor", library, EXT_DEV)
    session.call(session.member(module, "load_params"), network.params)
    own = []
    for name, key in (("input", "data"), ("output", 0)):
        tensor = session.call(session.member(module, f"get_{name}"), key)
        head = bytes(8) + tensor.head[8:]
        data, = session.ask(ALLOC, sequence(Remote(head, 0), None))
        own.append(Remote(struct.pack("<Q", data) + tensor.head[8:], tensor.nbytes, data))
        session.call(session.member(module, f"set_{name}_zero_copy"), key, own[-1])
    session.write(own[0], network.input)
    session.call(session.member(module, "run"))
    network.check(session.numbers_of(own[1]), "zero copy")
    for tensor in own:
        session.ask(FREE_DATA, sequence(Device(EXT_DEV), Handle(3, tensor.handle)))
    network.run(session, module, "memory that the client has freed")


def check_factory(port, network):
    if network.factory is None:
        return
    session = Session(port)
    factory = session.load("factory.tar", network.factory)
    module = session.call(session.member(factory, "default"), Device(EXT_DEV))
    assert session.call(session.member(factory, "get_graph_json")) == network.graph
    session.free(factory.value, MODULE)
    network.run(session, module, "factory")
    factory = session.load("factory.tar", network.factory)
    debug = session.call(session.member(factory, "debug_create"), "default", Device(EXT_DEV),
                         Device(CPU))
    network.run(session, debug, "factory's debug executor")
    bare = session.call(session.member(factory, "remove_params"))
    module = session.call(session.member(bare, "default"), Device(EXT_DEV))
    session.call(session.member(module, "load_params"), network.params)
    network.run(session, module, "factory without parameters")


def check_debug(port, network):
    session = Session(port)
    library = session.load("graphlib.tar", network.library)
    module = create(session, network, "graph_executor_debug", library, EXT_DEV)
    session.call(session.member(module, "load_params"), network.params)
    network.run(session, module, "debug executor")
    execute, output = session.member(module, "execute_node"), None
    for node in range(len(network.nodes)):
        session.call(execute, node)
        if node + 1 < len(network.nodes) and node % 7 != 0:
            continue
        output = session.call(session.member(module, "get_node_output"), node, 0)
    network.check(session.numbers_of(output), "node by node")
    calls = sum(node["op"] != "null" for node in network.nodes)
    times = session.call(session.member(module, "run_individual"), 1, 1, 0)
    times = [float(text) for text in times.strip(",").split(",")]
    assert len(times) == len(network.nodes) and sum(time > 0 for time in times) == calls, times
    report = json.loads(session.call(session.member(module, "profile_rpc")))
    rows = report["calls"]
    assert len(rows) == calls and set(report["device_metrics"]) == {"ext_dev0"}
    assert sum(row["VTA (us)"]["microseconds"] > 0 for row in rows) > 1
    total = sum(row["Percent"]["percent"] for row in rows)
    assert abs(total - 100) < 1e-6, total
    timed = session.call("runtime.RPCTimeEvaluator", module, "run", EXT_DEV, 0, 1, 2, 0, "")
    seconds = struct.unpack("<2d", session.call(timed))
    assert all(0 < time < 100 for time in seconds), seconds
    network.run(session, module, "after all of that")


# ---- Many at once --------------------------------------------------------------------------------

def run_or_break_off(port, network, seed, wrong):
    """Some sessions end in the middle of a call, or between two; the others must be right."""
    chance = random.Random(seed)
    try:
        for _ in range(3):
            session = Session(port)
            breaks = chance.choice([None, None, "loaded", "running"])
            module = session.load("graphlib.tar", network.library)
            module = create(session, network, "graph_executor", module, EXT_DEV)
            session.call(session.member(module, "load_params"), network.params)
            run = session.member(module, "run")
            for _ in range(chance.randint(1, 4)):
                network.run(session, module, "one of many")
            if breaks == "running":
                body = struct.pack("<Q", run.value) + sequence()
                session.socket.sendall(struct.pack("<Qi", 4 + len(body), CALL) + body)
            elif breaks == "loaded":
                session.socket.sendall(struct.pack("<Qi", 1000, CALL) + b"half of a call")
            session.socket.close()
    except (AssertionError, OSError) as reason:
        wrong.append(f"seed {seed}: {reason!r}")


def children_of(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += file.read().split()
    return found


def left_by(pid, scratch):
    """Processes, descriptors of the daemon, and entries of its folder."""
    return len(children_of(pid)), len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(scratch))


def wait_for(condition, seconds, what):
    """Polls, because processes end without saying so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.02)


def quiet(pid, scratch):
    """What there is once nothing has changed for half a second."""
    seen, since = None, time.monotonic()

    def unchanged():
        nonlocal seen, since
        now = left_by(pid, scratch)
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 0.5
    wait_for(unchanged, 20, lambda: f"the daemon does not settle: {seen}")
    return seen


def check_many(port, daemon, scratch, network):
    """A first session warms up what the daemon keeps: a ready worker, the linker, linked files."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    wrong = []
    run_or_break_off(port, network, seed, wrong)
    before = quiet(daemon.pid, scratch)
    threads = [threading.Thread(target=run_or_break_off, args=(port, network, seed + i, wrong))
               for i in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, "\n".join(wrong)

    def nothing_left():
        now = left_by(daemon.pid, scratch)
        return all(left <= had for left, had in zip(now, before))
    wait_for(nothing_left, 30, lambda: f"left: {left_by(daemon.pid, scratch)}, had {before}")


def main(vtad, machine="x86_64"):
    here = os.path.dirname(os.path.abspath(__file__))
    shared = os.environ.get("VTA_SHARED", os.path.join(here, "..", "..", "..", "shared"))
    folder = os.path.join(shared, "tvm", "networks")
    if not os.path.isdir(folder):
        print(f"SKIPPED: no networks: {folder} is not there (VTA_SHARED)", file=sys.stderr)
        return 77
    scratch = tempfile.mkdtemp(prefix="vtad-test-")
    os.chmod(scratch, 0o711)
    daemon, port = modules.start(vtad, scratch)
    drain = threading.Thread(target=daemon.stderr.read)
    drain.start()
    networks = [Network(os.path.join(folder, name), machine) for name in ("small", "resnet18")]
    try:
        for network in networks:
            for check in (check_legacy, check_zero_copy, check_factory, check_debug):
                check(port, network)
                print(f"{network.name}, {check.__name__[6:]}: ok", flush=True)
        check_many(port, daemon, scratch, networks[0])
        print("many at once: ok")
    finally:
        daemon.terminate()
        drain.join()
        status = daemon.wait()
        shutil.rmtree(scratch)
    assert status == 0, status
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
