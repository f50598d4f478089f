# SPDX-License-Identifier: Apache-2.0
"""Plays the container runtime: makes each pod's cgroup and puts a process into it that connects in its first
instruction, and again until it is not told to try again.

  pods.py PORT SECONDS PARENT CONTAINER NAME...   for each NAME: PARENT/NAME/CONTAINER (CONTAINER `-`: none)
prints one line of JSON: [[NAME, milliseconds from the mkdir to the last answer, [each different answer in order]], ...]
"""
import errno
import json
import os
import socket
import sys
import time

port, patience, parent, container = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]


def live(directory, began, result):
    with open(directory + "/cgroup.procs", "w") as file:
        file.write("0")
    seen = []
    while True:
        with socket.socket() as sock:
            sock.settimeout(2)
            try:
                sock.connect(("127.0.0.1", port))
                answer = "ok"
            except socket.timeout:
                answer = "TIMEOUT"
            except OSError as error:
                answer = errno.errorcode[error.errno]
        took = (time.monotonic() - began) * 1000
        if answer not in seen[-1:]:
            seen.append(answer)
        if answer != "ECONNREFUSED" or took > patience * 1000:
            os.write(result, json.dumps([took, seen]).encode())
            os._exit(0)
        time.sleep(0.0002)


rows = []
for name in sys.argv[5:]:
    pod = f"{parent}/{name}"
    directory = pod if container == "-" else f"{pod}/{container}"
    reader, writer = os.pipe()
    began = time.monotonic()
    os.makedirs(directory)
    child = os.fork()
    if child == 0:
        live(directory, began, writer)
    os.close(writer)
    took, seen = json.loads(os.read(reader, 65536))
    os.close(reader)
    os.waitpid(child, 0)
    rows.append([name, took, seen])
print(json.dumps(rows))
