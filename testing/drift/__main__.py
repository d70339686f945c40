"""Tries the newest of what hookwire is held against: `python3 testing/drift [PIN...]`.

Looks up the newest version of each pin (docs/pins.md has them), and where that is another than the pinned one,
moves this pin alone and runs the tests that concern it. Prints a line for each, with the tests that fail, and below
it what has changed in shape: messages, hooks, models, settings. Where several Python packages have moved, all of
them are tried together at last.

Writes below the target directory only; whoever takes a newer version changes the pin. Exits with 1 if anything
fails, or could not be tried. Needs Python 3.11, cargo, git, the network, and apt-get for nginx and HAProxy.
"""

import shutil
import sys

import pins
from crate import Crate
from environment import Environment, Package, PulledIn, Together
from gateway import Gateway
from judge import run
from program import Program
from protocol import Protocol
from trial import WORK, cargo_test

OF_THE_REFERENCE = [
    cargo_test("reference_*", "published", "differential", "otel"),
    cargo_test("reference", manifest=pins.ADAPTER),
]
OF_PUBLISHED = [cargo_test("reference_published", "published")]
OF_THE_PROBE = [cargo_test("reference_grpc_probe")]


def everything():
    environment = Environment(WORK / "venv")
    lists = [
        (pins.REFERENCE, OF_THE_REFERENCE),
        (pins.PUBLISHED, OF_PUBLISHED),
        (pins.PROBE, OF_THE_PROBE),
    ]
    packages = [
        Package(requirement, environment, tests)
        for file, tests in lists
        for requirement in pins.asked_for(file)
    ]
    packages.append(PulledIn(environment, OF_THE_REFERENCE))
    tried = pins.everything(pins.TRIED)
    return [
        *packages,
        Together(packages, environment, OF_THE_REFERENCE),
        Crate("praxis-policy", pins.ADAPTER),
        Gateway(tried["mcp-contextforge-gateway"], environment),
        Protocol(
            tried["agentgateway"],
            "https://github.com/agentgateway/agentgateway",
            "crates/protos/proto/ext_mcp.proto",
        ),
        Program(tried["nginx"], "balancer", "balancer_nginx"),
        Program(tried["haproxy"], "balancer", "balancer_haproxy"),
    ]


def main(names):
    known = everything()
    unknown = set(names) - {pin.name for pin in known}
    if unknown:
        sys.exit(f"no such pin: {', '.join(sorted(unknown))}; there are {', '.join(pin.name for pin in known)}")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    return run([pin for pin in known if not names or pin.name in names], lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
