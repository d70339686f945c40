"""Runs the reference SERVER as a child of the tests: `serve.py DIRECTORY`.

Its stdin is held by the test process and ends with it, however that ends. Then the server
ends too and removes DIRECTORY, where its socket is: nobody has to clean up after a server
that all tests of a process share. The line `stop` asks for an orderly end, as SIGTERM does.

HOOKWIRE_IDLE_SECONDS is how long a connection may be idle, in place of the fixed 300 s, and
HOOKWIRE_HOOK_SECONDS how long a hook may run, in place of the fixed 30 s.
"""

import os
import shutil
import signal
import sys
import threading

from cpex.framework import manager
from cpex.framework.external.unix.server import runtime, server


def end_with_the_tests():
    for line in sys.stdin:
        if line == "stop\n":
            os.kill(os.getpid(), signal.SIGTERM)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    os._exit(0)


if idle := os.environ.get("HOOKWIRE_IDLE_SECONDS"):
    read_message = server.read_message
    server.read_message = lambda reader, timeout: read_message(reader, timeout=float(idle))

if limit := os.environ.get("HOOKWIRE_HOOK_SECONDS"):
    make = manager.PluginExecutor.__init__

    def make_with_limit(self, *args, **kwargs):
        make(self, *args, **kwargs)
        self.timeout = float(limit)

    manager.PluginExecutor.__init__ = make_with_limit

threading.Thread(target=end_with_the_tests, daemon=True).start()
runtime.main()
