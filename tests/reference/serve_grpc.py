"""Runs the reference gRPC SERVER as a child of the tests: `serve_grpc.py DIRECTORY [OPTIONS]`.

Its stdin is held by the test process and ends with it, however that ends. Then the server
ends too and removes DIRECTORY, where it was started. The options are those of the server.
"""

import os
import shutil
import sys
import threading

from cpex.framework.external.grpc.server import runtime

directory = sys.argv.pop(1)


def end_with_the_tests():
    sys.stdin.read()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)


threading.Thread(target=end_with_the_tests, daemon=True).start()
runtime.main()
