"""Tries the newest versions of what the tests pin: `python3 tests/reference/newest.py [TEST...]`.

Installs the reference package, the published plugins and grpc's probe without their pins below the target
directory, prints what is newer than pinned, runs the tests named `reference_*`, `published` and
`differential` against that (or the ones given), and prints which of them fail: that is what has changed. Nothing
is written but below the target directory; whoever takes the newer versions changes the pins.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
LISTS = [HERE / directory / "requirements.txt" for directory in ("", "published", "probe")]
# What we ask for; everything else in the lists is what it pulls in.
WANTED = re.compile(r"cpex|telveguard|grpcio-health-checking")


def pins():
    lines = [line for file in LISTS for line in file.read_text().splitlines()]
    found = [re.fullmatch(r"([\w.-]+)(\[.*\])?==(\S+)", line) for line in lines]
    return {name_of(pin[1]): pin for pin in found if pin}


def name_of(package):
    return re.sub(r"[-_.]+", "-", package).lower()


def install(target, packages):
    venv.create(target, clear=True, with_pip=True)
    pip = [target / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *packages], check=True)
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True)
    return {name_of(package["name"]): package["version"] for package in json.loads(listed.stdout)}


def main():
    pinned = pins()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute() / "newest-venv"
    wanted = [pin[1] + (pin[2] or "") for name, pin in pinned.items() if WANTED.match(name)]
    newest = install(target, wanted)
    print(f"{'package':40} {'pinned':14} newest")
    for name in sorted((newest.keys() | pinned.keys()) - {"pip", "setuptools"}):
        before = pinned[name][3] if name in pinned else "-"
        if before != newest.get(name, "-"):
            mark = "*" if WANTED.match(name) else " "
            print(f"{mark} {name:38} {before:14} {newest.get(name, '-')}")
    print("(* asked for by the tests)", flush=True)

    tests = sys.argv[1:] or ["--test", "reference_*", "--test", "published", "--test", "differential"]
    environment = {**os.environ, "HOOKWIRE_REFERENCE_VENV": str(target), "CI": "true"}
    command = ["cargo", "test", "--quiet", "--workspace", "--all-features", "--no-fail-fast", *tests]
    run = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    failed = sorted(set(re.findall(r"^    ([\w:]+)$", run.stdout, re.MULTILINE)))
    for test in failed:
        print(f"changed: {test}")
    if run.returncode != 0 and not failed:
        sys.exit(run.stdout + "the tests could not be run, see above")
    print(f"{len(failed)} tests see a difference")
    sys.exit(1 if failed else 0)


main()
