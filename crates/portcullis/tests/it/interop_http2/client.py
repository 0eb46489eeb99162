"""An HTTP/2 client that also sends what no client may. Reads cases as JSON, one a line; writes an outcome for each.

Frames are made by hyperframe and headers by hpack, the parts of the h2 library below its own checks.
"""

import json
import socket
import ssl
import sys

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PORT, ROOTS, NAME = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Connection:
    def __init__(self, protocols=("h2", "http/1.1"), server_name=NAME):
        context = ssl.create_default_context(cafile=ROOTS)
        context.set_alpn_protocols(list(protocols))
        plain = socket.create_connection(("127.0.0.1", PORT), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=server_name)
        self.protocol = self.socket.selected_alpn_protocol()
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.buffer, self.eof, self.goaway, self.sent = b"", False, None, 0
        self.streams = {}
        self.grants = True
        self.settings = {}

    def begin(self, settings=None):
        self.socket.sendall(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())
        return self

    def send(self, *frames):
        """Whether the peer still took them."""
        try:
            self.socket.sendall(b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in frames))
            self.sent += len(frames)
            return True
        except OSError:
            self.eof = True
            return False

    def headers(self, stream, fields, flags=("END_HEADERS", "END_STREAM")):
        block = self.encoder.encode([(name, value) for name, value in fields], huffman=False)
        return HeadersFrame(stream, block, flags=list(flags))

    def stream(self, number):
        empty = {"status": None, "fields": [], "body": "", "reset": None, "ended": False}
        return self.streams.setdefault(number, empty)

    def read_frame(self):
        while True:
            if len(self.buffer) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) >= 9 + length:
                    frame.parse_body(memoryview(self.buffer[9 : 9 + length]))
                    self.buffer = self.buffer[9 + length :]
                    return frame
            try:
                octets = self.socket.recv(65536)
            except OSError:
                octets = b""
            if not octets:
                self.eof = True
                return None
            self.buffer += octets

    def step(self):
        frame = self.read_frame()
        if frame is None:
            return False
        if isinstance(frame, HeadersFrame):
            stream = self.stream(frame.stream_id)
            fields = self.decoder.decode(frame.data)
            fields = [(str(name), str(value)) for name, value in fields]
            status = dict(fields).get(":status")
            if status is not None and not status.startswith("1"):
                stream["status"] = int(status)
                stream["fields"] = fields
        elif isinstance(frame, DataFrame):
            self.stream(frame.stream_id)["body"] += frame.data.decode("latin-1")
            if self.grants and frame.flow_controlled_length:
                self.send(
                    WindowUpdateFrame(0, window_increment=frame.flow_controlled_length),
                    WindowUpdateFrame(frame.stream_id, window_increment=frame.flow_controlled_length),
                )
        elif isinstance(frame, RstStreamFrame):
            self.stream(frame.stream_id)["reset"] = frame.error_code
            self.stream(frame.stream_id)["ended"] = True
        elif isinstance(frame, GoAwayFrame):
            self.goaway = frame.error_code
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            self.send(PingFrame(0, frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.settings = {int(key): value for key, value in frame.settings.items()}
            self.send(SettingsFrame(0, flags=["ACK"]))
        if frame.stream_id and "END_STREAM" in getattr(frame, "flags", ()):
            self.stream(frame.stream_id)["ended"] = True
        return True

    def until(self, done):
        while not done() and self.step():
            pass

    def outcome(self, stream=1):
        return {**self.stream(stream), "goaway": self.goaway, "eof": self.eof, "protocol": self.protocol}


def pseudo(method="GET", path="/owa/x", authority=NAME, scheme="https"):
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]


def request(case):
    """One request; its fields as they are, or the usual ones and some more."""
    connection = Connection(server_name=case.get("server_name", NAME)).begin()
    fields = case.get("raw") or pseudo(case.get("method", "GET"), case.get("path", "/owa/x")) + case.get("fields", [])
    body, trailers = case.get("body"), case.get("trailers")
    flags = ["END_HEADERS"] + (["END_STREAM"] if body is None else [])
    connection.send(connection.headers(1, fields, flags))
    if body is not None:
        connection.send(DataFrame(1, body.encode(), flags=[] if trailers else ["END_STREAM"]))
    if trailers:
        connection.send(connection.headers(1, trailers))
    ended = lambda: connection.stream(1)["ended"] or connection.goaway not in (None, 0)
    connection.until(ended)
    outcome = connection.outcome()
    if case.get("again"):
        connection.send(connection.headers(3, pseudo()))
        connection.until(lambda: connection.stream(3)["ended"])
        outcome["again"] = connection.stream(3)["status"]
    if case.get("to_the_end"):
        connection.until(lambda: False)
        outcome["eof"] = connection.eof
        outcome["goaway"] = connection.goaway
    return outcome


def flood(case):
    """The same frames until the edge has enough of them; how many it took at most."""
    connection = Connection().begin()
    connection.until(lambda: connection.settings)
    kind, number, most = case["flood"], 1, case.get("most", 100_000)
    if kind == "continuation":
        connection.send(connection.headers(1, pseudo(), ["END_STREAM"]))
    if kind == "empty_data":
        connection.send(connection.headers(1, pseudo("POST", "/ews/x"), ["END_HEADERS"]))
    for count in range(most):
        frames = {
            "ping": lambda: [PingFrame(0, b"12345678")],
            "settings": lambda: [SettingsFrame(0, settings={})],
            "priority": lambda: [PriorityFrame(1, depends_on=3)],
            "empty_data": lambda: [DataFrame(1, b"")],
            "continuation": lambda: [ContinuationFrame(1, b"")],
            "unknown": lambda: [b"\0\0\0\xfa\0\0\0\0\0"],
            "rapid_reset": lambda: [
                connection.headers(2 * count + 1, pseudo("POST", "/ews/x"), ["END_HEADERS"]),
                RstStreamFrame(2 * count + 1, error_code=8),
            ],
            # CVE-2025-8671: the server is made to reset, here by a window that grows beyond its end.
            "made_you_reset": lambda: [
                connection.headers(2 * count + 1, pseudo("POST", "/ews/x"), ["END_HEADERS"]),
                WindowUpdateFrame(2 * count + 1, window_increment=2**31 - 1),
            ],
        }[kind]()
        if not connection.send(*frames):
            break
        # What comes back is read, so that nothing stands still.
        connection.socket.setblocking(False)
        try:
            connection.buffer += connection.socket.recv(65536)
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError:
            break
        finally:
            connection.socket.settimeout(60)
    connection.until(lambda: False)
    return {"sent": connection.sent, "eof": connection.eof, "goaway": connection.goaway}


def alpn(case):
    connection = Connection(case["alpn"], case.get("server_name", NAME))
    return {"protocol": connection.protocol}


def parallel(case):
    """Many requests at once on one connection."""
    connection = Connection().begin()
    numbers = [2 * count + 1 for count in range(case["parallel"])]
    fields = [tuple(field) for field in case.get("fields", [])]
    for number in numbers:
        connection.send(connection.headers(number, pseudo(path=f"/owa/{case['mark']}-{number}") + fields))
    connection.until(lambda: all(connection.stream(number)["ended"] for number in numbers))
    return {
        "answers": [[number, connection.stream(number)["status"], connection.stream(number)["body"]] for number in numbers],
        "settings": connection.settings,
        "goaway": connection.goaway,
    }


def streamed(case):
    """Tells of each piece of an answer as it comes."""
    connection = Connection().begin()
    connection.send(connection.headers(1, pseudo("POST", case["streamed"])))
    seen = 0
    while not connection.stream(1)["ended"] and connection.step():
        body = connection.stream(1)["body"]
        if len(body) > seen:
            print(json.dumps({"piece": body[seen:]}), flush=True)
            seen = len(body)
    return connection.outcome()


def series(case):
    """One after another on one connection."""
    connection = Connection().begin()
    answered = 0
    for count in range(case["series"]):
        number = 2 * count + 1
        if not connection.send(connection.headers(number, pseudo())):
            break
        connection.until(lambda: connection.stream(number)["ended"])
        if connection.stream(number)["status"] != 200:
            break
        answered += 1
    connection.until(lambda: False)
    return {"answered": answered, "goaway": connection.goaway, "eof": connection.eof}


def windowless(case):
    """Takes nothing of an answer, and then all of it."""
    connection = Connection().begin({SettingsFrame.INITIAL_WINDOW_SIZE: 10})
    connection.send(connection.headers(1, pseudo(path="/owa/x")))
    connection.until(lambda: len(connection.stream(1)["body"]) >= 10)
    first = len(connection.stream(1)["body"])
    connection.send(WindowUpdateFrame(1, window_increment=1_000_000))
    connection.until(lambda: connection.stream(1)["ended"])
    return {"first": first, "whole": len(connection.stream(1)["body"]), **connection.outcome()}


SESSIONS = {}


def session(case):
    """Streams at once on a connection that stays from case to case; a new one when that has ended."""
    name = case["session"]
    if case.get("leave") and name in SESSIONS:
        SESSIONS.pop(name)[0].socket.close()
        return {"answers": []}
    answers = {}
    for _ in range(3):
        connection, number = SESSIONS.get(name, (None, 1))
        if connection is None or connection.eof or connection.goaway is not None:
            connection, number = Connection().begin(), 1
        left = [place for place in range(len(case.get("requests", []))) if place not in answers]
        numbers = {place: number + 2 * count for count, place in enumerate(left)}
        SESSIONS[name] = (connection, number + 2 * len(left))
        for place, stream in numbers.items():
            asked = case["requests"][place]
            fields = pseudo(asked.get("method", "GET"), asked["path"]) + [tuple(field) for field in asked["fields"]]
            connection.send(connection.headers(stream, fields))
        connection.until(lambda: all(connection.stream(stream)["ended"] for stream in numbers.values()))
        for place, stream in numbers.items():
            if connection.stream(stream)["ended"]:
                answers[place] = connection.streams.pop(stream)
    return {"answers": [answers.get(place) for place in range(len(case.get("requests", [])))]}


KINDS = [
    ("alpn", alpn),
    ("flood", flood),
    ("parallel", parallel),
    ("series", series),
    ("session", session),
    ("streamed", streamed),
    ("windowless", windowless),
]

for line in sys.stdin:
    case = json.loads(line)
    kind = next((kind for key, kind in KINDS if key in case), request)
    print(json.dumps(kind(case)), flush=True)
