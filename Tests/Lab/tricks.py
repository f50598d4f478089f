# SPDX-License-Identifier: Apache-2.0
"""What the tests of unusual ways out use: sockets with options, packets made by hand, io_uring without a library."""
import ctypes
import errno
import fcntl
import mmap
import os
import socket
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
FASTOPEN = 0x20000000


def say(*words):
    print(*words, flush=True)


def attempt(body):
    """One line: what came back, `sent` for a count, an errno's name or TIMEOUT."""
    try:
        result = body()
        say(result.decode() if isinstance(result, bytes) else "sent" if isinstance(result, int) else result or "ok")
    except socket.timeout:
        say("TIMEOUT")
    except OSError as error:
        say(errno.errorcode.get(error.errno, error))


def opened(kind, host, options=(), bind=None, protocol=0, family=None):
    sock = socket.socket(family or (socket.AF_INET6 if ":" in host else socket.AF_INET), kind, protocol)
    sock.settimeout(1)
    for option in options:
        sock.setsockopt(*option)
    if bind:
        sock.bind(bind)
    return sock


def tcp(port, host="127.0.0.1", **how):
    """Connects, says hi and answers what comes back."""
    sock = opened(socket.SOCK_STREAM, host, **how)
    sock.connect((host, port))
    sock.send(b"hi")
    return sock.recv(100)


def udp(port, host="127.0.0.1", **how):
    sock = opened(socket.SOCK_DGRAM, host, **how)
    sock.sendto(b"hi", (host, port))
    return sock.recv(100)


def listen(port, host="127.0.0.1", **how):
    sock = opened(socket.SOCK_STREAM, host, bind=(host, port), **how)
    sock.listen(64)
    sock.settimeout(None)
    return sock


def answer(listener, text=None):
    """Answers whoever comes, one message each, with what it said or `text`."""
    while True:
        connection, _ = listener.accept()
        try:
            said = connection.recv(100)
            connection.send(text or said)
        except OSError:
            pass
        connection.close()


# --- packets ---


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(protocol, payload, source="127.0.0.1", to="127.0.0.1", fragment=0, options=b""):
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, fragment, 64, protocol, 0,
        socket.inet_aton(source), socket.inet_aton(to)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(following, payload, source="::1", to="::1"):
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to)
    return struct.pack("!IHBB", 6 << 28, len(payload), following, 64) + ends + payload


def datagram4(source_port, port, text=b"hi"):
    return struct.pack("!HHHH", source_port, port, 8 + len(text), 0) + text


def datagram6(source_port, port, text=b"hi", source="::1", to="::1"):
    head = struct.pack("!HHHH", source_port, port, 8 + len(text), 0) + text
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to)
    total = checksum(ends + struct.pack("!IHBB", len(head), 0, 0, 17) + head)
    return head[:6] + struct.pack("!H", total or 0xFFFF) + head[8:]


# --- passing sockets on ---


def hand_over(path, sock):
    """Gives a socket to whoever connects to a Unix socket, once."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)
    say("ready")
    peer, _ = server.accept()
    socket.send_fds(peer, [b"x"], [sock.fileno()])


def take_over(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    _, descriptors, _, _ = socket.recv_fds(client, 1, 1)
    sock = socket.socket(fileno=descriptors[0])
    sock.settimeout(1)
    return sock


def move(cgroup):
    """This process, with all its threads, to another cgroup."""
    with open(cgroup + "/cgroup.procs", "w") as procs:
        procs.write(str(os.getpid()))


def unspecified(sock):
    """connect(AF_UNSPEC): the socket is not connected any more."""
    if libc.connect(sock.fileno(), struct.pack("H14x", 0), 16):
        raise OSError(ctypes.get_errno(), "connect")


def address4(host, port):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(host))


def sendmmsg(sock, text, targets):
    """One call for several datagrams; answers how many left."""
    keep, vector = [], b""
    for host, port in targets:
        data = ctypes.create_string_buffer(text, len(text))
        where = ctypes.create_string_buffer(address4(host, port), 16)
        piece = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(data), len(text)))
        keep += [data, where, piece]
        vector += struct.pack("QIIQQQQIIQ", ctypes.addressof(where), 16, 0, ctypes.addressof(piece), 1, 0, 0, 0, 0, 0)
    count = libc.sendmmsg(sock.fileno(), ctypes.create_string_buffer(vector, len(vector)), len(targets), 0)
    if count < 0:
        raise OSError(ctypes.get_errno(), "sendmmsg")
    return count


# --- io_uring(7), one request at a time ---


class Ring:
    SETUP, ENTER = 425, 426
    SENDMSG, CONNECT, SEND, SOCKET = 9, 16, 26, 45
    IOPOLL_THREAD = 2  # IORING_SETUP_SQPOLL

    def __init__(self, flags=0):
        self.flags = flags
        params = ctypes.create_string_buffer(struct.pack("IIIIIII12x40x40x", 0, 0, flags, 0, 100, 0, 0), 120)
        self.fd = libc.syscall(self.SETUP, 4, params)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        (self.sq_head, self.sq_tail, self.sq_mask, _, self.sq_flags, _, self.sq_array) = struct.unpack_from("7I", params, 40)
        (self.cq_head, self.cq_tail, self.cq_mask, _, _, self.cqes) = struct.unpack_from("6I", params, 80)
        self.sq = mmap.mmap(self.fd, 4096, offset=0)
        self.cq = mmap.mmap(self.fd, 4096, offset=0x8000000)
        self.sqes = mmap.mmap(self.fd, 4096, offset=0x10000000)

    def request(self, opcode, fd, offset=0, address=0, length=0):
        """struct io_uring_sqe; answers like the system call."""
        tail, = struct.unpack_from("I", self.sq, self.sq_tail)
        index = tail & struct.unpack_from("I", self.sq, self.sq_mask)[0]
        struct.pack_into("=BBHiQQII", self.sqes, index * 64, opcode, 0, 0, fd, offset, address, length, 0)
        self.sqes[index * 64 + 32:index * 64 + 64] = bytes(32)
        struct.pack_into("I", self.sq, self.sq_array + index * 4, index)
        struct.pack_into("I", self.sq, self.sq_tail, tail + 1)
        if libc.syscall(self.ENTER, self.fd, 1, 1, 3 if self.flags else 1, None, 0) < 0:  # GETEVENTS, and SQ_WAKEUP
            raise OSError(ctypes.get_errno(), "io_uring_enter")
        head, = struct.unpack_from("I", self.cq, self.cq_head)
        mask, = struct.unpack_from("I", self.cq, self.cq_mask)
        result, = struct.unpack_from("i", self.cq, self.cqes + (head & mask) * 16 + 8)
        struct.pack_into("I", self.cq, self.cq_head, head + 1)
        if result < 0:
            raise OSError(-result, "io_uring")
        return result

    def socket(self, kind):
        return socket.socket(fileno=self.request(self.SOCKET, socket.AF_INET, offset=kind))

    def connect(self, sock, host, port):
        where = ctypes.create_string_buffer(address4(host, port), 16)
        self.request(self.CONNECT, sock.fileno(), offset=16, address=ctypes.addressof(where))

    def send(self, sock, text):
        data = ctypes.create_string_buffer(text, len(text))
        return self.request(self.SEND, sock.fileno(), address=ctypes.addressof(data), length=len(text))

    def sendto(self, sock, text, host, port):
        data = ctypes.create_string_buffer(text, len(text))
        where = ctypes.create_string_buffer(address4(host, port), 16)
        piece = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(data), len(text)))
        message = ctypes.create_string_buffer(
            struct.pack("QIIQQQQII", ctypes.addressof(where), 16, 0, ctypes.addressof(piece), 1, 0, 0, 0, 0), 56)
        return self.request(self.SENDMSG, sock.fileno(), address=ctypes.addressof(message), length=1)
