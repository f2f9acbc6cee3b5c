#!/usr/bin/python3
"""vtad as a tracker: tracker_serves.py VTAD SHARED [TEST]… The conversation that was recorded with
TVM's own tracker lies in SHARED; without it that test is skipped, loudly.
"""
import json
import os
import random
import re
import struct
import sys

from farm import (INFO, PENDING, PING, PUT, REQUEST, STOP, SUMMARY, TRACKER_MAGIC, Peer, Vtad, frame,
                  run, wait_until)

VTAD, SHARED = sys.argv[1], os.environ.get("VTA_SHARED", sys.argv[2])


class Served:
    """A vtad that is a tracker, and connections to it."""

    def __init__(self, *flags):
        self.vtad = Vtad(VTAD, ("--tvm", "off", "--serve-tracker", "127.0.0.1:0", *flags))
        self.port = self.vtad.tracker_port()

    def peer(self, greet=True):
        return Peer(self.port, greet)

    def queues(self):
        with self.peer() as peer:
            return peer.ask(SUMMARY)[1]["queue_info"]

    def wait_queues(self, queues):
        wait_until(lambda: self.queues() == queues, f"{queues}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.vtad.__exit__(kind, value, trace)


def put(peer, key, match, port=9292, custom=None):
    return peer.ask(PUT, key, [port, match], custom)


# ---- The protocol ------------------------------------------------------------------------------

def answers_as_the_recorded_tracker_did():
    path = os.path.join(SHARED, "tvm", "tracker-session.txt")
    if not os.path.exists(path):
        print(f"SKIPPED: {path} is not there (VTA_SHARED)", file=sys.stderr)
        return
    peers, messages = {}, 0
    with open(path, encoding="utf-8") as lines, Served() as tracker:
        for line in lines:
            name, way, text = re.match(r"\s*[\d.]+ conn (\d+) ([<>]) (.*)\n", line).groups()
            if text.startswith("magic"):
                if way == ">":
                    peers[name] = tracker.peer(greet=False)
                    peers[name].socket.sendall(TRACKER_MAGIC)
                else:
                    assert peers[name].read_bytes(4) == TRACKER_MAGIC
            elif text == "closed":
                peers[name].close()
            elif way == ">":
                peers[name].socket.sendall(frame(text.encode()))
            else:
                answer = peers[name].read_raw()
                assert answer == text.encode(), (line, answer)
                messages += 1
    assert messages == 11, messages


def summarises_for_query_rpc_tracker():
    with Served() as tracker, tracker.peer() as one, tracker.peer() as other, \
            tracker.peer() as client, tracker.peer() as watcher:
        assert one.ask(INFO, {"key": "server:pynq", "addr": [None, 9091]}) == 0
        assert put(one, "pynq", "pynq:1") == put(one, "pynq", "pynq:2") == 0
        assert other.ask(INFO, {"key": "server:zcu", "addr": ["zcu.example", "9092"]}) == 0
        assert put(other, "zcu", "zcu:1", 9092, "zcu.example") == 0
        assert client.ask(INFO, {"key": "client"}) == 0  # is no server
        client.send([REQUEST, "rasp", "", 1])
        assert client.ask(PING) == 0
        raw = watcher.ask(SUMMARY)
        assert raw == [0, {"queue_info": {"pynq": {"free": 2, "pending": 0},
                                          "rasp": {"free": 0, "pending": 1},
                                          "zcu": {"free": 1, "pending": 0}},
                           "server_info": [{"key": "server:pynq", "addr": ["127.0.0.1", 9091]},
                                           {"key": "server:zcu", "addr": ["zcu.example", 9092]}]}]
        for item in raw[1]["server_info"]:  # what the tool does with it
            assert item["addr"][0] + ":" + str(item["addr"][1]) and item["key"].split(":")[1]
        assert watcher.ask(REQUEST, "zcu", "", 1) == [0, ["zcu.example", 9092, "zcu:1"]]


def a_server_that_is_gone_takes_its_boards_with_it():
    with Served() as tracker, tracker.peer() as client:
        with tracker.peer() as one, tracker.peer() as other:
            one.ask(INFO, {"key": "server:pynq", "addr": [None, 1]})
            for match in "1", "2", "3":
                put(one, "pynq", "one:" + match)
            put(other, "pynq", "other:1")
            assert one.ask(PENDING) == ["one:1", "one:2", "one:3"]
            assert client.ask(REQUEST, "pynq", "", 1)[1][2] == "one:1"
            assert one.ask(PENDING) == ["one:2", "one:3"] and other.ask(PENDING) == ["other:1"]
            one.close()
            tracker.wait_queues({"pynq": {"free": 1, "pending": 0}})
            assert client.ask(REQUEST, "pynq", "", 1)[1][2] == "other:1"
        tracker.wait_queues({})


def a_client_that_is_gone_waits_no_more():
    with Served() as tracker, tracker.peer() as server, tracker.peer() as second:
        with tracker.peer() as first:
            first.send([REQUEST, "pynq", "", 9])
            tracker.wait_queues({"pynq": {"free": 0, "pending": 1}})
            second.send([REQUEST, "pynq", "", 1])
            tracker.wait_queues({"pynq": {"free": 0, "pending": 2}})
        tracker.wait_queues({"pynq": {"free": 0, "pending": 1}})
        put(server, "pynq", "m")
        assert second.read() == [0, ["127.0.0.1", 9292, "m"]]


def a_connection_that_waits_is_answered_otherwise():
    with Served() as tracker, tracker.peer() as client:
        client.send([REQUEST, "pynq", "", 1])
        assert client.ask(PING) == 0
        code, reason = client.ask(REQUEST, "zcu", "", 1)
        assert code == -1 and "waits" in reason, reason
        client.send([PUT, "pynq", [1, "own"], None])
        assert client.read() == [0, ["127.0.0.1", 1, "own"]] and client.read() == 0


class Model:
    """What a tracker must answer, in the simplest words: all boards and all requests in order."""

    def __init__(self):
        self.boards, self.waiting = [], []  # (owner, key, match); (-priority, order, owner, key)
        self.order = 0

    def put(self, owner, key, match):
        """Who gets it, or None."""
        line = sorted(wait for wait in self.waiting if wait[3] == key)
        if not line:
            self.boards.append((owner, key, match))
            return None
        self.waiting.remove(line[0])
        return line[0][2]

    def request(self, owner, key, priority):
        """The match key, or None where it waits."""
        free = [board for board in self.boards if board[1] == key]
        if free:
            self.boards.remove(free[0])
            return free[0][2]
        self.order += 1
        self.waiting.append((-priority, self.order, owner, key))
        return None

    def waits(self, owner):
        return any(wait[2] == owner for wait in self.waiting)

    def close(self, owner):
        self.boards = [board for board in self.boards if board[0] != owner]
        self.waiting = [wait for wait in self.waiting if wait[2] != owner]

    def queues(self):
        keys = {board[1] for board in self.boards} | {wait[3] for wait in self.waiting}
        return {key: {"free": sum(board[1] == key for board in self.boards),
                      "pending": sum(wait[3] == key for wait in self.waiting)} for key in keys}


def step(source, tracker, model, peers, match):
    owner, key = source.randrange(len(peers)), source.choice(("pynq", "zcu", "pynq2"))
    peer = peers[owner]
    action = source.choices(("put", "request", "close", "pending", "summary"), (8, 8, 1, 2, 2))[0]
    if action == "put":
        getter = model.put(owner, key, match)
        peer.send([PUT, key, [9292, match], None])
        if getter is not None:
            answer = peers[getter].read()
            assert answer == [0, ["127.0.0.1", 9292, match]], (getter, answer)
        assert peer.read() == 0
    elif action == "request" and not model.waits(owner):
        priority = source.choice((-1, 0, 1, 1, 1, 2.5))
        want = model.request(owner, key, priority)
        if want is None:
            peer.send([REQUEST, key, "", priority])
            assert peer.ask(PING) == 0  # there was no answer to the request
        else:
            answer = peer.ask(REQUEST, key, "", priority)
            assert answer == [0, ["127.0.0.1", 9292, want]], (answer, want)
    elif action == "close":
        model.close(owner)
        peer.close()
        tracker.wait_queues(model.queues())
        peers[owner] = tracker.peer()
    elif action == "pending":
        assert peer.ask(PENDING) == [board[2] for board in model.boards if board[0] == owner]
    elif action == "summary":
        assert peer.ask(SUMMARY) == [0, {"queue_info": model.queues(), "server_info": []}]


def hands_out_boards_as_a_model_does():
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    source = random.Random(seed)
    with Served() as tracker:
        for _ in range(4):
            model, peers = Model(), [tracker.peer() for _ in range(6)]
            for number in range(500):
                step(source, tracker, model, peers, f"m{number}")
            for peer in peers:
                peer.close()
            tracker.wait_queues({})


# ---- Stopping ----------------------------------------------------------------------------------

def stops_for_who_has_the_stop_key():
    with Served() as tracker, tracker.peer() as peer:
        assert peer.ask(STOP, "x") == -1
        assert peer.ask(PING) == 0
    with Served("--tracker-stop-key", "enough") as tracker:
        with tracker.peer() as peer:
            for wrong in "enoug", "enough!", "ENOUGH":
                assert peer.ask(STOP, wrong) == -1
            assert peer.ask(STOP, "enough") == 0
            peer.expect_end()
        tracker.vtad.wait_log("stopped")


# ---- Limits ------------------------------------------------------------------------------------

def connections_are_limited():
    with Served("--max-tracker-connections", "3") as tracker:
        peers = [tracker.peer() for _ in range(3)]
        for _ in range(5):
            tracker.peer(greet=False).expect_end()
        tracker.vtad.wait_log("connection is refused: there are 3, the limit .max_tracker_connections")
        assert all(peer.ask(PING) == 0 for peer in peers)
        peers.pop().close()
        wait_until(lambda: is_served(tracker), "room for a connection")


def is_served(tracker):
    try:
        tracker.peer().close()
        return True
    except OSError:
        return False


def boards_are_limited():
    with Served("--max-tracker-boards", "3") as tracker, tracker.peer() as one, \
            tracker.peer() as other:
        assert [put(one, "pynq", f"m{i}") for i in range(4)] == [0, 0, 0, -1]
        assert put(other, "zcu", "z") == -1
        tracker.vtad.wait_log("board is refused: there are 3, the limit .max_tracker_boards")
        assert other.ask(REQUEST, "pynq", "", 1)[1][2] == "m0"
        assert put(other, "zcu", "z") == 0
        other.send([REQUEST, "rasp", "", 1])
        assert put(one, "rasp", "r") == 0  # is handed out at once
        assert other.read()[1][2] == "r"


def requests_are_limited():
    with Served("--max-tracker-requests", "2") as tracker, tracker.peer() as server:
        waiting = [tracker.peer() for _ in range(2)]
        for peer in waiting:
            peer.send([REQUEST, "pynq", "", 1])
            assert peer.ask(PING) == 0
        with tracker.peer() as late:
            code, reason = late.ask(REQUEST, "pynq", "", 5)
            assert code == -1 and "2 requests" in reason and "max_tracker_requests" in reason, reason
            put(server, "pynq", "m")
            assert waiting[0].read()[1][2] == "m"
            late.send([REQUEST, "pynq", "", 5])
            assert late.ask(PING) == 0
            put(server, "pynq", "n")
            assert late.read()[1][2] == "n"
        for _ in range(3):  # who leaves makes room
            with tracker.peer() as peer:
                peer.send([REQUEST, "zcu", "", 1])
                assert peer.ask(PING) == 0
            tracker.wait_queues({"pynq": {"free": 0, "pending": 1}})


def messages_are_limited():
    with Served() as tracker, tracker.peer() as peer:
        padding = "x" * (4096 - len(json.dumps([PING, ""])))
        assert peer.ask(PING, padding) == 0
        for raw, reason in ((struct.pack("<i", 4097), "4097 bytes, the limit is 4096"),
                            (b"\xff\xff\xff\xff", "4294967295 bytes"), (b"\0\0\0\0", "no bytes"),
                            (frame(b"[" * 9 + b"]" * 9), "depth 9"),
                            (frame([REQUEST, "k" * 129, "", 1]), "the key has 129 bytes"),
                            (frame([8]), "the code 8 is not known"),
                            (frame([-1]), "the code -1 is not known"), (frame(b"{]"), "not JSON")):
            with tracker.peer() as bad:
                bad.socket.sendall(raw)
                bad.expect_end()
            tracker.vtad.wait_log("tracker: connection from 127.* closed: .*" + reason)
        assert peer.ask(PING) == 0


def the_rest_of_a_message_must_come_in_time():
    with Served("--handshake-timeout-ms", "700") as tracker, tracker.peer() as peer:
        for said in b"\x03", b"\x03\x00\x00\x00[1":
            late = tracker.peer()
            late.socket.sendall(said)
            late.expect_end()
            tracker.vtad.wait_log("half a message for handshake_timeout_ms")
        assert peer.ask(PING) == 0  # and between messages there is all the time


def the_magic_number_must_come_in_time():
    with Served("--handshake-timeout-ms", "700") as tracker, tracker.peer() as peer:
        for said in b"", b"\x71\xf2\x02":
            late = tracker.peer(greet=False)
            late.socket.sendall(said)
            late.expect_end()
            tracker.vtad.wait_log("no magic number within handshake_timeout_ms")
        assert peer.ask(PING) == 0  # and later nothing has to come
        for said in b"\x71\xf2\x0f\x00", b"GET / HTTP/1.1\r\n":
            other = tracker.peer(greet=False)
            other.socket.sendall(said)
            other.expect_end()
            tracker.vtad.wait_log("not a tracker's magic number")


def peak_bytes(vtad):
    with open(f"/proc/{vtad.process.pid}/status", encoding="ascii") as status:
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])


def who_does_not_read_is_not_read_from():
    keys, summaries = 800, 2500
    with Served("--max-write-queue-bytes", "4096") as tracker, tracker.peer() as server:
        for number in range(keys):
            put(server, f"a-board-with-a-key-of-its-own-{number:04}", "m")
        with tracker.peer() as slow, tracker.peer() as quick:
            quick.send([SUMMARY])
            expected, before = quick.read_raw(), peak_bytes(tracker.vtad)
            slow.socket.sendall(frame([SUMMARY]) * summaries)
            for _ in range(summaries // 4):  # as many turns as slow would need, and more
                assert quick.ask(PING) == 0
            grown = peak_bytes(tracker.vtad) - before
            assert grown < summaries * len(expected) // 4, (grown, summaries * len(expected))
            for _ in range(summaries):
                assert slow.read_raw() == expected
        assert len(tracker.queues()) == keys


# ---- Bytes -------------------------------------------------------------------------------------

def messages_may_come_in_any_pieces():
    with Served() as tracker:
        stream = TRACKER_MAGIC + frame([INFO, {"key": "server:a", "addr": [None, 1]}]) \
            + frame([PUT, "a", [1, "m"], None]) + frame([PENDING]) + frame([PING]) * 100 \
            + frame([REQUEST, "a", "", 1])
        want = TRACKER_MAGIC + frame(0) + frame(0) + frame(["m"]) + frame(0) * 100 \
            + frame([0, ["127.0.0.1", 1, "m"]])
        for pieces in 1, 2, 3, 5, 7, 50, len(stream):
            with tracker.peer(greet=False) as peer:
                for at in range(0, len(stream), pieces):
                    peer.socket.sendall(stream[at:at + pieces])
                assert peer.read_bytes(len(want)) == want
            tracker.wait_queues({})


def hostile_bytes_cost_their_sender_the_connection():
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    source = random.Random(seed)
    good = [frame(message) for message in ([INFO, {"key": "server:a", "addr": [None, 1]}],
                                           [PUT, "a", [1, "m"], "h"], [REQUEST, "b", "", 1],
                                           [SUMMARY], [PENDING], [PING], [STOP, "x"])]
    with Served() as tracker, tracker.peer() as witness:
        put(witness, "mine", "m")
        descriptors = None
        for turn in range(400):
            raw = bytearray(b"".join(source.choices(good, k=source.randrange(1, 6))))
            for _ in range(source.randrange(1, 4)):
                raw[source.randrange(len(raw))] = source.randrange(256)
            with tracker.peer() as peer:
                peer.socket.sendall(raw[:source.randrange(1, len(raw) + 1)])
            assert witness.ask(PING) == 0
            if turn == 0:
                tracker.wait_queues({"mine": {"free": 1, "pending": 0}})
                descriptors = tracker.vtad.descriptors()
        tracker.wait_queues({"mine": {"free": 1, "pending": 0}})
        assert witness.ask(PENDING) == ["m"]
        wait_until(lambda: tracker.vtad.descriptors() <= descriptors, f"{descriptors} descriptors")


run([answers_as_the_recorded_tracker_did, summarises_for_query_rpc_tracker,
     a_server_that_is_gone_takes_its_boards_with_it, a_client_that_is_gone_waits_no_more,
     a_connection_that_waits_is_answered_otherwise, hands_out_boards_as_a_model_does,
     stops_for_who_has_the_stop_key, connections_are_limited, boards_are_limited,
     requests_are_limited, messages_are_limited, the_magic_number_must_come_in_time,
     the_rest_of_a_message_must_come_in_time,
     who_does_not_read_is_not_read_from, messages_may_come_in_any_pieces,
     hostile_bytes_cost_their_sender_the_connection], sys.argv[3:])
