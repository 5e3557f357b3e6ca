"""A proxy between a client and a web server that does to answers what networks and archives do.

Every request goes to the server. What comes back is passed on, or spoilt in one of the ways of
FAULTS, drawn from seeded dice: so many faults in all, never more than a few in a row for one path,
so that whoever is patient comes through.
"""

import asyncio
import collections
import random
import socket
import struct
import threading

SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"
# what an answer may suffer
FAULTS = ("storm", "retry_after", "slow_down", "reset", "cut", "cut_without_length", "flipped", "stall", "etag")
# of one path in a row: less than the patience of the client
MOST_IN_A_ROW = 3


class Proxy:
    """Serves at `url` until it is closed."""

    def __init__(self, upstream, seed=0, faults=0, rate=0.0, stall_s=3.0, wanted=FAULTS):
        self.upstream = upstream
        self.dice = random.Random(seed)
        self.left, self.rate, self.stall_s, self.wanted = faults, rate, stall_s, wanted
        self.injected = collections.Counter()
        self.bytes = collections.Counter()
        self.requests = []
        self.in_a_row = collections.Counter()
        self.deck = []
        self.storm = 0
        # path -> bytes after which the connection waits for ever
        self.freeze_at = {}
        self.frozen = threading.Event()
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=[ready], daemon=True)
        self.thread.start()
        assert ready.wait(10)
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def forget(self):
        """Counts anew."""
        self.bytes.clear()
        self.requests.clear()

    def total(self, ending=""):
        return sum(count for path, count in self.bytes.items() if path.endswith(ending))

    def _serve(self, ready):
        asyncio.set_event_loop(self.loop)
        serving = self.loop.run_until_complete(asyncio.start_server(self._connection, "127.0.0.1", 0))
        self.port = serving.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        serving.close()
        self.loop.run_until_complete(asyncio.sleep(0.05))
        self.loop.close()

    async def _connection(self, reader, writer):
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.rstrip().split("\r\n")
        path = first.split()[1]
        self.requests.append((path, dict(field.split(": ", 1) for field in fields)))
        fault = self._draw(path)
        if fault in ("storm", "retry_after", "slow_down"):
            more = b"Retry-After: 0\r\n" if fault == "retry_after" else b""
            body = SLOW_DOWN if fault == "slow_down" else b""
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\n%sContent-Length: %d\r\n\r\n%s" % (more, len(body), body))
            await writer.drain()
            return True
        kept = [f for f in fields if not f.lower().startswith(("connection:", "host:"))]
        host, port = self.upstream
        far_reader, far_writer = await asyncio.open_connection(host, port)
        try:
            lines = [first, f"Host: {host}:{port}", "Connection: close", *kept]
            far_writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            answer = await far_reader.readuntil(b"\r\n\r\n")
            body = await far_reader.read(-1)
        finally:
            far_writer.close()
        return await self._pass_on(writer, path.split("?")[0], answer, body, fault)

    def _draw(self, path):
        """What this request suffers, if anything."""
        if self.storm > 0 and self.in_a_row[path] < MOST_IN_A_ROW:
            self.storm -= 1
            return self._injected(path, "storm")
        if self.left <= 0 or self.dice.random() >= self.rate or self.in_a_row[path] >= MOST_IN_A_ROW:
            self.in_a_row[path] = 0
            return None
        # each comes as often as the others, in whatever order requests arrive
        if not self.deck:
            self.deck = self.dice.sample(self.wanted, len(self.wanted))
        fault = self.deck.pop()
        # a listing has no sum: nobody could tell
        if fault == "flipped" and "?" in path:
            fault = "cut"
        if fault == "storm":
            self.storm = self.dice.randrange(4)
        return self._injected(path, fault)

    def _injected(self, path, fault):
        self.left -= 1
        self.in_a_row[path] += 1
        self.injected[fault] += 1
        return fault

    async def _pass_on(self, writer, path, answer, body, fault):
        status, *fields = answer.decode("latin-1").rstrip().split("\r\n")
        fields = [f for f in fields if not f.lower().startswith(("connection:", "content-length:"))]
        length, has_length = len(body), True
        middle = self.dice.randrange(max(len(body), 1))
        if fault == "etag":
            fields = [f for f in fields if not f.lower().startswith("etag:")] + ['ETag: "another"']
        if fault == "flipped" and body:
            body = body[:middle] + bytes([body[middle] ^ 0x10]) + body[middle + 1 :]
        if fault in ("reset", "cut", "cut_without_length", "stall"):
            body, has_length = body[:middle], fault != "cut_without_length"
        lines = [status, *fields, *([f"Content-Length: {length}"] if has_length else ["Connection: close"])]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        stop = self.freeze_at.pop(path, None)
        sent = body if stop is None else body[:stop]
        for start in range(0, len(sent), 1 << 16):
            writer.write(sent[start : start + (1 << 16)])
            await writer.drain()
        self.bytes[path] += len(sent)
        if stop is not None:
            self.frozen.set()
            await asyncio.sleep(3600)
        if fault == "stall":
            await asyncio.sleep(self.stall_s)
        if fault == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return fault not in ("reset", "cut", "cut_without_length", "stall")
