#!/usr/bin/python3
"""Drives one vtad from many connections at once, so that its threads meet: runs, cancellations,
deadlines, connections that vanish during a run, and SIGTERM while runs are in progress.

Usage: stress.py VTAD VTAC. Skipped (77) without Debian's python3-msgpack. Built for a daemon under
ThreadSanitizer: whatever a sanitizer says on the daemon's stderr fails the test.
"""
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

try:
    import msgpack
except ImportError:
    print("SKIP: python3-msgpack is not installed")
    sys.exit(77)

SESSIONS = 12
ROUNDS = 8
RACES = 100


class Failed(Exception):
    """An error response."""


class Board:
    """One connection, one session, one board."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.answers = msgpack.Unpacker(self.socket.makefile("rb", buffering=0))
        self.msgid = 0

    def send(self, method, *params):
        self.msgid += 1
        self.socket.sendall(msgpack.packb([0, self.msgid, method, params]))
        return self.msgid

    def receive(self):
        kind, msgid, error, result = next(self.answers)
        assert kind == 1, kind
        return msgid, error, result

    def call(self, method, *params):
        sent = self.send(method, *params)
        msgid, error, result = self.receive()
        assert msgid == sent, (msgid, sent)
        if error is not None:
            raise Failed(error["code"], error["message"])
        return result

    def gemm(self, module):
        """Uploads a module; returns its function and the buffers of its parameters."""
        self.call("module.upload", "gemm.vta", module)
        loaded = self.call("module.load", "gemm.vta")
        gemm = self.call("function.get", loaded["module"], "gemm")
        return gemm, [self.call("buffer.alloc", param["bytes"]) for param in gemm["params"]]

    def vanish(self):
        """Closes with a reset, as a crashed peer's machine would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def run_and_read(port, module, number):
    """Pipelines write, run and read, and checks what comes back."""
    board = Board(port)
    gemm, buffers = board.gemm(module)
    for turn in range(ROUNDS):
        value = (number + turn) % 5
        sizes = [param["bytes"] for param in gemm["params"]]
        sent = [board.send("buffer.write", buffers[0], 0, bytes([value]) * sizes[0]),
                board.send("buffer.write", buffers[1], 0, bytes([1]) * sizes[1]),
                board.send("run", gemm["function"], buffers),
                board.send("buffer.read", buffers[2], 0, sizes[2])]
        answers = [board.receive() for _ in sent]
        assert [answer[0] for answer in answers] == sent, answers
        assert all(answer[1] is None for answer in answers), answers
        assert answers[2][2]["counters"] == gemm["counters"], answers[2]
        assert answers[3][2] == bytes([min(127, value * 64 >> 2)]) * sizes[2], answers[3]
    board.socket.close()


def cancel(port, module):
    """Cancels long runs, while they run or before."""
    board = Board(port)
    gemm, buffers = board.gemm(module)
    for _ in range(ROUNDS):
        run = board.send("time_evaluator", gemm["function"], buffers, 1000, 50, 0)
        while True: # `cancel` overtakes; it says whether there was a run yet
            stop = board.send("cancel")
            msgid, error, result = board.receive()
            assert msgid == stop and error is None, (msgid, error)
            if result:
                break
        msgid, error, _ = board.receive()
        assert msgid == run and error["code"] == "cancelled", (msgid, error)
        assert board.call("ping", "still here") == "still here"
    board.socket.close()


def race(port, module):
    """Cancels short runs at whatever moment: what was answered true is kept, false as well."""
    board = Board(port)
    gemm, buffers = board.gemm(module)
    for turn in range(RACES):
        run = board.send("run", gemm["function"], buffers)
        for _ in range(turn % 8):
            board.socket.sendall(msgpack.packb([2, "ping", []]))
        stop = board.send("cancel")
        answers = {msgid: (error, result) for msgid, error, result in
                   (board.receive(), board.receive())}
        promised, failure = answers[stop][1], answers[run][0]
        assert promised == (failure is not None), (promised, failure)
        assert failure is None or failure["code"] == "cancelled", failure
    board.socket.close()


def deadline(port, module):
    """Long runs that pass their deadline."""
    board = Board(port)
    gemm, buffers = board.gemm(module)
    for _ in range(ROUNDS):
        try:
            board.call("time_evaluator", gemm["function"], buffers, 1000, 50, 0,
                       {"deadline_ms": 20})
            raise AssertionError("ran past its deadline")
        except Failed as failure:
            assert failure.args[0] == "deadline", failure
    board.socket.close()


def vanish(port, module):
    """Connections that go away during a run."""
    for _ in range(ROUNDS):
        board = Board(port)
        gemm, buffers = board.gemm(module)
        board.send("time_evaluator", gemm["function"], buffers, 1000, 50, 0)
        board.call_sent = board.send("ping")
        board.receive()
        board.vanish()


def together(jobs):
    """Runs jobs in threads; returns what went wrong."""
    wrong = []

    def guarded(job, arguments):
        try:
            job(*arguments)
        except Exception as failure: # the thread's, for the main thread to report
            wrong.append(f"{job.__name__}: {failure!r}")

    threads = [threading.Thread(target=guarded, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def compile_gemm(vtac, folder, size):
    path = os.path.join(folder, f"gemm{size}.vta")
    subprocess.run([vtac, "matmul", "--in", str(size), "--out", str(size), "--block", "1,64,64",
                    "--shift", "2", "--clip", "0,127", "--name", "gemm", "-o", path],
                   check=True, stdout=subprocess.DEVNULL)
    with open(path, "rb") as module:
        return module.read()


def start(vtad, log):
    """Starts a daemon; returns it and its port. Its stderr goes on into log."""
    daemon = subprocess.Popen([vtad, "--listen", "127.0.0.1:0"], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
    port = None
    for line in daemon.stderr:
        log.append(line)
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
        if found:
            port = int(found[1])
            break
    assert port, "".join(log)
    threading.Thread(target=lambda: log.extend(daemon.stderr)).start()
    return daemon, port


def main(vtad, vtac):
    log = []
    with tempfile.TemporaryDirectory() as folder:
        small, large = compile_gemm(vtac, folder, 64), compile_gemm(vtac, folder, 512)
    daemon, port = start(vtad, log)
    try:
        wrong = together([(run_and_read, (port, small, number)) for number in range(SESSIONS)] +
                         [(cancel, (port, large)), (race, (port, small)), (deadline, (port, large)),
                          (vanish, (port, large)), (vanish, (port, small))])
        # SIGTERM while one run is in progress: it may finish or be cancelled; the daemon ends.
        board = Board(port)
        gemm, buffers = board.gemm(small)
        board.send("time_evaluator", gemm["function"], buffers, 20, 5, 0)
        board.send("ping")
        board.receive()
        daemon.send_signal(signal.SIGTERM)
        status = daemon.wait(timeout=60)
        if status != 0:
            wrong.append(f"vtad ended with status {status} after SIGTERM")
    finally:
        daemon.kill()
        daemon.wait()
    if any("Sanitizer" in line for line in log):
        wrong.append("a sanitizer had something to say")
    for complaint in wrong:
        print(complaint)
    if wrong:
        print("".join(log[-400:]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
