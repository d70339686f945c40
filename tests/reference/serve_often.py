"""Runs the reference SERVER over and over, as a child of the tests: `serve_often.py DIRECTORY`.

Lines on stdin: `start` starts a server, which prints READY once it listens; `kill` ends it
with SIGKILL and prints KILLED. Each is a fork of this process, which has loaded the package:
that takes a small part of a start from nothing. All ends with the test process, and then
DIRECTORY, where the socket is, is removed.
"""

import os
import shutil
import signal
import sys
import threading

from cpex.framework.external.unix.server import runtime

# Nothing is written to it: it is closed when this process ends, however that is.
ended, alive = os.pipe()


def end_with_the_parent():
    os.read(ended, 1)
    os._exit(0)


def serve():
    os.close(alive)
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    runtime.main()
    os._exit(1)


server = None
for line in sys.stdin:
    if line == "start\n":
        server = os.fork()
        if server == 0:
            serve()
    elif line == "kill\n":
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
        print("KILLED", flush=True)
shutil.rmtree(sys.argv[1], ignore_errors=True)
