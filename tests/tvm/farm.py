"""What the suites of trackers share: a vtad process, a tracker, and clients of both, written from the
protocol's description and sharing no code with vtad. Every wait is for an event and ends with a
failure after WAIT seconds.
"""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

WAIT = 60
TRACKER_MAGIC = struct.pack("<i", 0x2F271)
MAGIC, MISMATCH, IN_USE = 0xFF271, 0xFF273, 0xFF272
PING, STOP, PUT, REQUEST, INFO, SUMMARY, PENDING = range(1, 8)


def wait_until(holds, what):
    """Polls what only the system knows, as a process's descriptors; returns what holds() is then."""
    end = time.monotonic() + WAIT
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < end, f"still not: {what}"
        time.sleep(0.005)


# ---- A daemon ----------------------------------------------------------------------------------

class Vtad:
    """A vtad on a free port, or at a Unix socket, whose configuration file is config."""

    def __init__(self, path, flags=(), config=None, listen="127.0.0.1:0"):
        self.folder = tempfile.mkdtemp(prefix="vtad-test-")
        os.chmod(self.folder, 0o711)
        self.lines, self.changed, self.seen = [], threading.Condition(), 0
        self.configure(config or {})
        self.process = subprocess.Popen(
            [path, "--config", os.path.join(self.folder, "vtad.json"), "--listen", listen,
             "--tvm-scratch", self.folder, *flags], stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        self.port = int(self.wait_log(r"^listening on (?:127\.0\.0\.1:(\d+)|unix:)")[1] or 0)

    def configure(self, config):
        with open(os.path.join(self.folder, "vtad.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)

    def reload(self, config):
        self.configure(config)
        self.process.send_signal(signal.SIGHUP)
        self.wait_log("reload: done")

    def read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()

    def wait_log(self, pattern):
        """Waits for a line after those that were waited for before."""
        end = time.monotonic() + WAIT
        with self.changed:
            while True:
                for at in range(self.seen, len(self.lines)):
                    found = re.search(pattern, self.lines[at])
                    if found:
                        self.seen = at + 1
                        return found
                assert self.changed.wait(end - time.monotonic()), \
                    f"no line '{pattern}' in:\n" + "\n".join(self.lines[-40:])

    def tracker_port(self):
        return int(self.wait_log(r"^the tracker listens on 127\.0\.0\.1:(\d+)")[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def children(self):
        """Its processes' ids."""
        pids = []
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/children", encoding="ascii") as file:
                pids += map(int, file.read().split())
        return pids

    def at_rest(self, processes):
        """Its descriptors, once its workers are ready, as many as given, and nothing is at work."""
        wait_until(lambda: len(self.children()) == processes, f"{processes} processes")
        return self.descriptors()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.clear()

    def clear(self):
        self.reader.join(WAIT)
        self.process.stderr.close()
        shutil.rmtree(self.folder)

    def stop(self):
        """It must end well, and leave nothing in its folder."""
        self.process.terminate()
        status = self.process.wait(WAIT)
        left = os.listdir(self.folder)
        self.clear()
        assert status == 0, (status, self.lines[-20:])
        assert left == ["vtad.json"], left

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            print("\n".join(self.lines[-60:]))
            self.process.kill()


# ---- Who speaks to a tracker -------------------------------------------------------------------

def frame(message):
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack("<i", len(raw)) + raw


class Peer:
    """A connection to a tracker."""

    def __init__(self, port, greet=True, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=WAIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if greet:
            self.socket.sendall(TRACKER_MAGIC)
            assert self.read_bytes(4) == TRACKER_MAGIC

    def read_bytes(self, nbytes):
        got = bytearray()
        while len(got) < nbytes:
            more = self.socket.recv(nbytes - len(got))
            if not more:
                raise ConnectionError("the tracker closed the connection")
            got += more
        return bytes(got)

    def send(self, message):
        self.socket.sendall(frame(message))

    def read_raw(self):
        return self.read_bytes(struct.unpack("<i", self.read_bytes(4))[0])

    def read(self):
        return json.loads(self.read_raw())

    def ask(self, *message):
        self.send(list(message))
        return self.read()

    def expect_end(self):
        """The tracker must close the connection, having said nothing more."""
        try:
            assert self.socket.recv(1) == b"", "the tracker says something"
        except ConnectionResetError:
            pass
        self.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- A tracker ---------------------------------------------------------------------------------

class Tracker:
    """A tracker, a thread for each connection. heard holds everything that anybody has said."""

    def __init__(self, port=0):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.heard, self.sockets, self.boards, self.waiting, self.servers = [], set(), [], [], {}
        self.order, self.open = 0, True
        self.answer = self.answer_well  # tests put something worse here
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, address = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if not self.open:
                    peer.close()
                    return
                self.sockets.add(peer)
            threading.Thread(target=self.serve, args=(peer, address[0]), daemon=True).start()

    def serve(self, peer, address):
        stream = peer.makefile("rb")
        try:
            if stream.read(4) != TRACKER_MAGIC:
                return
            peer.sendall(TRACKER_MAGIC)
            while True:
                head = stream.read(4)
                if len(head) < 4:
                    return
                message = json.loads(stream.read(struct.unpack("<i", head)[0]))
                with self.changed:
                    if not self.open:
                        return
                    self.heard.append((peer, message))
                    raw = self.answer(peer, address, message)
                    self.changed.notify_all()
                    if raw is not None:
                        peer.sendall(raw)
        except (OSError, ValueError):
            pass
        finally:
            with self.changed:
                self.sockets.discard(peer)
                self.boards = [board for board in self.boards if board[0] is not peer]
                self.waiting = [wait for wait in self.waiting if wait[2] is not peer]
                self.servers.pop(peer, None)
                self.changed.notify_all()
            stream.close()
            peer.close()

    def answer_well(self, peer, address, message):
        """The answer's bytes, or None where there is none yet."""
        code = message[0]
        if code == PUT:
            _, key, (port, match), custom = message
            self.boards.append((peer, key, [custom or address, port, match]))
            self.match()
        elif code == REQUEST:
            self.order += 1
            self.waiting.append((-message[3], self.order, peer, message[1]))
            self.match()
            return None
        elif code == INFO:
            self.servers[peer] = message[1]
        elif code == SUMMARY:
            return frame([0, {"queue_info": self.queues(), "server_info": list(self.servers.values())}])
        elif code == PENDING:
            return frame([board[2][2] for board in self.boards if board[0] is peer])
        return frame(0)

    def match(self):
        for wait in sorted(self.waiting, key=lambda wait: wait[:2]):
            for board in self.boards:
                if board[1] == wait[3]:
                    self.boards.remove(board)
                    self.waiting.remove(wait)
                    try:
                        wait[2].sendall(frame([0, board[2]]))
                    except OSError:
                        pass
                    break

    def queues(self):
        keys = {board[1] for board in self.boards} | {wait[3] for wait in self.waiting}
        return {key: {"free": sum(board[1] == key for board in self.boards),
                      "pending": sum(wait[3] == key for wait in self.waiting)} for key in keys}

    def wait_for(self, holds, what):
        """Waits until holds(heard) and returns it."""
        end = time.monotonic() + WAIT
        with self.changed:
            while True:
                value = holds([message for _, message in self.heard])
                if value:
                    return value
                assert self.changed.wait(end - time.monotonic()), f"the tracker never heard {what}"

    def wait_puts(self, count):
        """Waits for so many boards that were put, ever, and returns their messages."""
        def puts(heard):
            found = [message for message in heard if message[0] == PUT]
            return found if len(found) >= count else None
        return self.wait_for(puts, f"{count} boards")

    def close(self):
        """Goes away at once, with every connection."""
        with self.changed:
            self.open = False
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            for peer in self.sockets:
                try:
                    peer.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- Clients of a board ------------------------------------------------------------------------

class Session:
    """A TVM session; code is the server's answer to the handshake, key what it says it is."""

    def __init__(self, port, key, options=""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        text = f"client:{key}{options}".encode()
        self.socket.sendall(struct.pack("<ii", MAGIC, len(text)) + text)
        self.code, self.key = struct.unpack("<i", self.read(4))[0], None
        if self.code == MAGIC:
            self.key = self.read(struct.unpack("<i", self.read(4))[0]).decode()

    def read(self, nbytes):
        got = b""
        while len(got) < nbytes:
            more = self.socket.recv(nbytes - len(got))
            if not more:
                raise ConnectionError("the board closed the connection")
            got += more
        return got

    def ask(self, code, body):
        self.socket.sendall(struct.pack("<Qi", 4 + len(body), code) + body)
        return self.read(struct.unpack("<Q", self.read(8))[0])

    def work(self):
        """InitServer, and the look-up of a function that is there."""
        answer = self.ask(2, struct.pack("<Q", 5) + b"0.8.0" + struct.pack("<i", 0))
        assert answer == struct.pack("<iii", 4, 1, 4), answer
        name = b"tvm.rpc.server.upload"
        answer = self.ask(9, struct.pack("<iiQ", 1, 11, len(name)) + name)
        assert answer[:8] == struct.pack("<ii", 4, 1) and any(answer[12:20]), answer

    def wait_end(self):
        try:
            assert self.socket.recv(1) == b""
        except ConnectionResetError:
            pass

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def run(tests, names):
    """Runs every test, or those named."""
    for test in tests:
        if names and test.__name__ not in names:
            continue
        begin = time.monotonic()
        test()
        print(f"{test.__name__}: ok, {time.monotonic() - begin:.1f} s", flush=True)
