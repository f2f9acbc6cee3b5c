#!/usr/bin/python3
"""vtad as the server of a tracker's boards: tracker_boards.py VTAD SESSIONS [TEST]… The tracker is
farm.py's or, for the farm of SESSIONS sessions, vtad itself as well.
"""
import os
import random
import signal
import socket
import struct
import sys
import tempfile
import threading

from farm import (INFO, IN_USE, MAGIC, MISMATCH, PENDING, PUT, REQUEST, SUMMARY, TRACKER_MAGIC,
                  Peer, Session, Tracker, Vtad, frame, run, wait_until)

VTAD, SESSIONS = sys.argv[1], int(sys.argv[2])
QUICK = ("--tracker-poll-ms", "25", "--tracker-retry-ms", "25")


def start(tracker, boards, *flags, key="pynq"):
    port = tracker if isinstance(tracker, int) else tracker.port
    return Vtad(VTAD, ("--tracker", f"127.0.0.1:{port}", "--tracker-key", key,
                       "--tracker-boards", str(boards), *QUICK, *flags))


def match_key(put):
    return put[2][1]


def says_what_a_server_of_tvm_says():
    with Tracker() as tracker, start(tracker, 3) as vtad:
        puts = tracker.wait_puts(3)
        tracker.wait_for(lambda heard: heard.count([PENDING]) >= 3, "[7] three times")
        said = [message for _, message in tracker.heard]
        assert said[0] == [INFO, {"key": "server:pynq", "addr": [None, vtad.port]}], said
        assert [message for message in said[1:] if message != [PENDING]] == puts, said
        for put in puts:
            assert put == [PUT, "pynq", [vtad.port, match_key(put)], None], put
            assert match_key(put).startswith("pynq:") and len(match_key(put)) == 5 + 32, put
        assert len(set(map(match_key, puts))) == 3, puts
        assert len({peer for peer, _ in tracker.heard}) == 1


def announces_a_custom_address():
    with Tracker() as tracker, start(tracker, 1, "--tracker-address", "board7.example") as vtad:
        put = tracker.wait_puts(1)[0]
        assert tracker.heard[0][1] == [INFO, {"key": "server:pynq",
                                              "addr": ["board7.example", vtad.port]}]
        assert put[3] == "board7.example", put


def a_match_key_is_good_once():
    with Tracker() as tracker, start(tracker, 2, "--tvm-key", "direct") as vtad:
        first, second = map(match_key, tracker.wait_puts(2))
        with Session(vtad.port, first) as session, Session(vtad.port, second, " -x=1") as other:
            assert (session.code, session.key) == (MAGIC, "server:pynq")
            assert (other.code, other.key) == (MAGIC, "server:pynq")
            session.work()
            for key in first, second, first[:-1], first + "0", "pynq", "":
                with Session(vtad.port, key) as late:
                    assert late.code == MISMATCH, key
            assert len(tracker.wait_puts(2)) == 2  # nothing is free
        fresh = tracker.wait_puts(4)[2:]
        assert not {first, second} & set(map(match_key, fresh)), fresh
        for key in first, second:
            with Session(vtad.port, key) as late:
                assert late.code == MISMATCH, key
        with Session(vtad.port, match_key(fresh[0])) as session:
            session.work()


def the_plain_key_is_good_as_before():
    with Tracker() as tracker, start(tracker, 1, "--tvm-key", "direct") as vtad:
        key = match_key(tracker.wait_puts(1)[0])
        for _ in range(3):
            with Session(vtad.port, "direct") as session:
                assert session.key == "server:direct"
                session.work()
        with Session(vtad.port, key) as session:
            session.work()
        assert len(tracker.wait_puts(2)) == 2


def a_board_whose_client_does_not_come_is_offered_anew():
    with Tracker() as tracker, start(tracker, 2) as vtad:
        tracker.wait_puts(2)
        with Peer(tracker.port) as client:
            _, (host, port, key) = client.ask(REQUEST, "pynq", "", 1)
        assert (host, port) == ("127.0.0.1", vtad.port)
        puts = tracker.wait_puts(3)
        assert len(puts) == 3 and match_key(puts[2]) not in map(match_key, puts[:2]), puts
        with Session(vtad.port, key) as late:
            assert late.code == MISMATCH
        vtad.wait_log("nobody came for a board")


def a_board_that_is_not_handed_out_keeps_its_match_key():
    with Tracker() as tracker, start(tracker, 1) as vtad:
        key = match_key(tracker.wait_puts(1)[0])
        tracker.wait_for(lambda heard: heard.count([PENDING]) >= 12, "[7] often")
        assert len(tracker.wait_puts(1)) == 1
        with Session(vtad.port, key) as session:
            session.work()


def a_client_that_leaves_gives_its_board_back():
    with Tracker() as tracker, start(tracker, 1) as vtad:
        for turn in range(1, 21):
            key = match_key(tracker.wait_puts(turn)[-1])
            text = f"client:{key}".encode()
            client = socket.create_connection(("127.0.0.1", vtad.port))
            client.sendall(struct.pack("<ii", MAGIC, len(text)) + text + b"\1\2\3"[:turn % 4])
            if turn % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        tracker.wait_puts(21)


def a_refused_session_gives_its_board_back():
    with Tracker() as tracker, start(tracker, 1, "--max-tvm-sessions", "1") as vtad:
        with Session(vtad.port, "") as direct:
            direct.work()
            with Session(vtad.port, match_key(tracker.wait_puts(1)[0])) as session:
                assert session.code == IN_USE
            key = match_key(tracker.wait_puts(2)[1])
        vtad.wait_log("session .* ended")
        with Session(vtad.port, key) as session:
            session.work()


def a_session_timeout_gives_the_board_back():
    with Tracker() as tracker, start(tracker, 1) as vtad:
        with Session(vtad.port, match_key(tracker.wait_puts(1)[0]), " -timeout=0.1") as session:
            assert session.code == MAGIC
            session.wait_end()
        with Session(vtad.port, match_key(tracker.wait_puts(2)[1])) as session:
            session.work()


def a_worker_that_dies_gives_the_board_back():
    with Tracker() as tracker, start(tracker, 1) as vtad:
        with Session(vtad.port, match_key(tracker.wait_puts(1)[0])) as session:
            session.work()
            for pid in vtad.children():
                os.kill(pid, signal.SIGKILL)
            session.wait_end()
        with Session(vtad.port, match_key(tracker.wait_puts(2)[1])) as session:
            session.work()


def a_tracker_that_goes_away_is_come_back_to():
    with Tracker() as tracker:
        vtad = start(tracker, 2)
        first, second = map(match_key, tracker.wait_puts(2))
    with vtad:
        vtad.wait_log("tracker .*: it has closed the connection")
        with Session(vtad.port, first) as session:  # keys are good until there is a tracker again
            session.work()
            with Tracker(tracker.port) as again:
                put = again.wait_puts(1)[0]
                assert again.heard[0][1][0] == INFO
                assert match_key(put) not in (first, second)
                session.ask(9, struct.pack("<iiQ", 1, 11, 1) + b"x")  # still serves
                again.wait_for(lambda heard: heard.count([PENDING]) >= 2, "[7]")
                assert len(again.wait_puts(1)) == 1  # the other one is taken
                with Session(vtad.port, second) as late:
                    assert late.code == MISMATCH
                session.close()
                puts = again.wait_puts(2)
                assert len(set(map(match_key, puts)) | {first, second}) == 4, puts


def a_new_tracker_has_every_board_at_once():
    with Tracker() as tracker:
        vtad = start(tracker, 3, "--tracker-poll-ms", "3600000")
        old = tracker.wait_puts(3)
    with vtad, Tracker(tracker.port) as again:
        fresh = again.wait_puts(3)
        assert len(set(map(match_key, old + fresh))) == 6


def a_tracker_that_is_none_is_tried_again():
    answers = {
        "has answered with -1": lambda code: frame(-1),
        "no JSON": lambda code: frame(b"{"),
        "no list": lambda code: frame(0) if code != PENDING else frame(b"{}"),
        "another type": lambda code: frame("0"),
        "too long": lambda code: struct.pack("<i", 65537),
        "negative": lambda code: b"\xff\xff\xff\xff",
        "empty": lambda code: b"\0\0\0\0",
        "more than was asked for": lambda code: frame(0) + frame(0),
    }
    for name, answer in answers.items():
        with Tracker() as tracker:
            tracker.answer = lambda peer, address, message, answer=answer: answer(message[0])
            with start(tracker, 1) as vtad:
                tracker.wait_for(lambda heard: sum(m[0] == INFO for m in heard) >= 3, name)
                with Session(vtad.port, "") as session:
                    session.work()
                tracker.answer = tracker.answer_well
                with tracker.lock:
                    tracker.heard.clear()
                with Session(vtad.port, match_key(tracker.wait_puts(1)[0])) as session:
                    session.work()


def a_peer_that_is_no_tracker_is_tried_again():
    for greeting in b"\x71\xf2\x0f\x00", b"HTTP/1.1 400\r\n", b"":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(60)
            with start(listener.getsockname()[1], 1) as vtad:
                for _ in range(3):
                    peer, _ = listener.accept()
                    with peer:
                        assert peer.recv(4, socket.MSG_WAITALL) == TRACKER_MAGIC
                        peer.sendall(greeting)
                with Session(vtad.port, "") as session:
                    session.work()


def a_tracker_that_says_nothing_is_late():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with start(listener.getsockname()[1], 1, "--handshake-timeout-ms", "300") as vtad:
            peer, _ = listener.accept()
            vtad.wait_log("tracker .*: it does not answer in time")
            again, _ = listener.accept()
            again.sendall(TRACKER_MAGIC)
            assert again.recv(4, socket.MSG_WAITALL) == TRACKER_MAGIC
            listener.accept()[0].close()
            peer.close()
            again.close()


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        print("SKIPPED: there is no IPv6", file=sys.stderr)
        return False


def boards_need_a_tcp_address():
    with Tracker() as tracker, tempfile.TemporaryDirectory() as folder:
        with Vtad(VTAD, ("--tracker", f"127.0.0.1:{tracker.port}", "--tracker-key", "k"),
                  listen=f"unix:{folder}/socket") as vtad:
            vtad.wait_log("tracker: boards that are offered need a TCP address")
        assert not tracker.heard


def a_tracker_may_have_a_name():
    with Tracker() as tracker:
        with start(tracker, 1, "--tracker", f"localhost:{tracker.port}"):
            tracker.wait_puts(1)
    if has_ipv6():
        with Vtad(VTAD, QUICK, {"serve_tracker": "[::1]:0"}) as vtad:
            port = int(vtad.wait_log(r"^the tracker listens on \[::1\]:(\d+)")[1])
            vtad.reload({"serve_tracker": "[::1]:0", "tracker": f"[::1]:{port}", "tracker_key": "k"})
            vtad.wait_log(r"tracker \[::1\]:\d+: 1 boards are offered as 'k'")
            with Peer(port, host="::1") as client:
                assert client.ask(REQUEST, "k", "", 1)[1][:2] == ["::1", vtad.port]
    with start(1, 1, "--tracker", "no-such-host.invalid:9190") as vtad:
        vtad.wait_log("tracker no-such-host.invalid:9190: ")
        with Session(vtad.port, "") as session:
            session.work()


def a_reload_changes_what_is_offered():
    with Tracker() as tracker, Tracker() as other, Vtad(VTAD, QUICK) as vtad:
        config = {"tracker": f"127.0.0.1:{tracker.port}", "tracker_key": "pynq"}
        vtad.reload(config)
        key = match_key(tracker.wait_puts(1)[0])
        vtad.reload({**config, "max_sessions": 17})  # something else
        session = Session(vtad.port, key)
        session.work()
        vtad.reload({**config, "tracker_boards": 3})
        assert len(tracker.wait_puts(3)) == 3  # of the three one is taken
        stale = match_key(tracker.wait_puts(3)[2])
        vtad.reload({"tracker": f"127.0.0.1:{other.port}", "tracker_key": "zcu", "tracker_boards": 2})
        put = other.wait_puts(1)[0]
        assert put[1] == "zcu" and match_key(put).startswith("zcu:"), put
        tracker.wait_for(lambda heard: not tracker.boards, "that the boards are gone")
        with Session(vtad.port, stale) as late:
            assert late.code == MISMATCH
        session.close()
        other.wait_puts(2)
        stale = match_key(other.wait_puts(2)[0])
        vtad.reload({})
        other.wait_for(lambda heard: not other.boards, "that the boards are gone")
        with Session(vtad.port, stale) as late:
            assert late.code == MISMATCH
        with Session(vtad.port, "") as direct:
            direct.work()


def boards_leave_the_tracker_when_vtad_stops():
    with Tracker() as tracker:
        with start(tracker, 2) as vtad:
            session = Session(vtad.port, match_key(tracker.wait_puts(2)[0]))
            session.work()
        session.close()
        tracker.wait_for(lambda heard: not tracker.boards and not tracker.sockets, "the end")
        assert len(tracker.wait_puts(2)) == 2


def is_its_own_tracker():
    with Vtad(VTAD, QUICK, {"serve_tracker": "127.0.0.1:0"}) as vtad:
        port = vtad.tracker_port()
        vtad.reload({"serve_tracker": "127.0.0.1:0", "tracker": f"127.0.0.1:{port}",
                     "tracker_key": "pynq", "tracker_boards": 2})
        for _ in range(5):
            with Peer(port) as client:
                _, (host, board, key) = client.ask(REQUEST, "pynq", "", 1)
                assert (host, board) == ("127.0.0.1", vtad.port)
                with Session(board, key) as session:
                    session.work()


# ---- The farm ----------------------------------------------------------------------------------

class Farm:
    """Clients that tune: each takes a board, works a moment, or fails in one of several ways."""

    def __init__(self, port, sessions, seed):
        self.port, self.left, self.random = port, sessions, random.Random(seed)
        self.lock, self.worked, self.used, self.errors = threading.Lock(), 0, [], []

    def take(self):
        """(what to do with it, host, port, match key) of a board, or None when all is done. A
        tracker that is being restarted is asked again."""
        with self.lock:
            if self.left == 0:
                return None
            self.left -= 1
            kind = self.random.choices(["work", "reset", "half", "never", "leave", "timeout"],
                                       [80, 6, 5, 3, 4, 2])[0]
            priority = self.random.randrange(3)
        while True:
            try:
                with Peer(self.port) as client:
                    answer = client.ask(REQUEST, "pynq", "", priority)
                    assert answer[0] == 0, answer
                    with self.lock:
                        self.used.append(answer[1][2])
                    return kind, *answer[1]
            except OSError:
                wait_until(self.tracker_is_there, "a tracker again")

    def tracker_is_there(self):
        try:
            Peer(self.port).close()
            return True
        except OSError:
            return False

    def handshake(self, port, key, part):
        text = f"client:{key}".encode()
        raw = struct.pack("<ii", MAGIC, len(text)) + text
        client = socket.create_connection(("127.0.0.1", port), timeout=60)
        client.sendall(raw[:int(len(raw) * part)])
        client.close()

    def use(self, kind, port, key):
        if kind == "never":
            return
        if kind in ("half", "leave"):
            self.handshake(port, key, 0.7 if kind == "half" else 1)
            return
        with Session(port, key, " -timeout=0.05" if kind == "timeout" else " -timeout=60") as session:
            if session.code == MISMATCH:  # a restarted tracker's keys are fresh
                return
            assert (session.code, session.key) == (MAGIC, "server:pynq"), session.code
            if kind == "timeout":
                session.wait_end()
                return
            session.work()
            if kind == "reset":
                session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))
            with self.lock:
                self.worked += 1

    def client(self):
        try:
            while (board := self.take()) is not None:
                try:
                    self.use(board[0], *board[2:])
                except OSError:  # the board's server was killed
                    pass
        except BaseException as error:  # whatever it is, the test must hear of it
            self.errors.append(error)
            raise

    def run(self, clients, meanwhile):
        """meanwhile: what happens when so many sessions are left."""
        threads = [threading.Thread(target=self.client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for left, event in meanwhile:
            wait_until(lambda left=left: self.left <= left or self.errors, f"{left} sessions left")
            event()
        for thread in threads:
            thread.join()
        assert not self.errors, self.errors
        assert len(self.used) == len(set(self.used)), "a match key was given out twice"


def pending_keys(summary_port, boards):
    """Takes every board of the tracker, once all are free, and returns their match keys."""
    def all_free():
        with Peer(summary_port) as client:
            queue = client.ask(SUMMARY)[1]["queue_info"].get("pynq")
        return queue == {"free": boards, "pending": 0}
    wait_until(all_free, f"{boards} free boards")
    with Peer(summary_port) as client:
        return [client.ask(REQUEST, "pynq", "", 1)[1][2] for _ in range(boards)]


def farm_of(restart, port, sessions, seed):
    """4 boards, and 2 of a server that is killed on the way, at a tracker that restarts on the way.
    Afterwards nothing is left."""
    print(f"farm: {sessions} sessions, seed {seed}")
    victim = start(port(), 2)
    with start(port(), 4) as vtad:
        vtad.wait_log("4 boards are offered")
        victim.wait_log("2 boards are offered")
        before = vtad.at_rest(1)
        farm = Farm(port(), sessions, seed)
        farm.run(8, [(sessions * 2 // 3, victim.kill), (sessions // 3, restart)])
        keys = pending_keys(port(), 4)
        assert not set(keys) & set(farm.used), "a match key was put again"
        assert farm.worked > sessions // 2, farm.worked
        wait_until(lambda: len(vtad.children()) == 1 and vtad.descriptors() <= before,
                   f"one process, the template, and {before} descriptors")
        wait_until(lambda: not folders(vtad), "no folder of a worker")
        with Session(vtad.port, keys[0]) as session:
            session.work()


def folders(vtad):
    scratch = [name for name in os.listdir(vtad.folder) if name.startswith("vtad-scratch-")]
    assert len(scratch) == 1, scratch
    return [name for name in os.listdir(os.path.join(vtad.folder, scratch[0])) if name != "lock"]


def a_farm_at_another_tracker():
    trackers = [Tracker()]

    def restart():
        trackers[-1].close()
        trackers.append(Tracker(trackers[0].port))

    farm_of(restart, lambda: trackers[0].port, SESSIONS, random.randrange(1 << 30))
    trackers[-1].close()


def a_farm_at_vtad_as_tracker():
    def serve(port):
        vtad = Vtad(VTAD, ("--tvm", "off", "--serve-tracker", f"127.0.0.1:{port}"))
        return vtad, vtad.tracker_port()

    vtads = [serve(0)]

    def restart():
        vtads[-1][0].stop()
        vtads.append(serve(vtads[0][1]))

    farm_of(restart, lambda: vtads[0][1], SESSIONS, random.randrange(1 << 30))
    vtads[-1][0].stop()


run([says_what_a_server_of_tvm_says, announces_a_custom_address, a_match_key_is_good_once,
     the_plain_key_is_good_as_before, a_board_whose_client_does_not_come_is_offered_anew,
     a_board_that_is_not_handed_out_keeps_its_match_key,
     a_client_that_leaves_gives_its_board_back, a_refused_session_gives_its_board_back,
     a_session_timeout_gives_the_board_back, a_worker_that_dies_gives_the_board_back,
     boards_need_a_tcp_address, a_tracker_that_goes_away_is_come_back_to,
     a_new_tracker_has_every_board_at_once,
     a_tracker_that_is_none_is_tried_again, a_peer_that_is_no_tracker_is_tried_again,
     a_tracker_that_says_nothing_is_late, a_tracker_may_have_a_name,
     a_reload_changes_what_is_offered, boards_leave_the_tracker_when_vtad_stops,
     is_its_own_tracker, a_farm_at_another_tracker, a_farm_at_vtad_as_tracker], sys.argv[3:])
