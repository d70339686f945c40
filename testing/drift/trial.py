"""What comes of a pin that is moved: the tests that fail then, and what has changed in shape."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from pins import ROOT

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
# All that is installed and copied; made anew by each run.
WORK = TARGET / "drift"


class NotTried(Exception):
    """A pin about which nothing is known now; never taken for one that passes."""


@dataclass
class Trial:
    failed: list = field(default_factory=list)
    changed: list = field(default_factory=list)


def output(*command, cwd=None):
    """What a command prints; one that fails tells nothing of the pin."""
    try:
        run = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    except FileNotFoundError:
        raise NotTried(f"there is no {command[0]} here") from None
    if run.returncode != 0:
        raise NotTried((run.stderr.strip() or f"{command[0]} fails").splitlines()[-1])
    return run.stdout


def difference(before, after):
    gone, new = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    return [f"- {line}" for line in gone] + [f"+ {line}" for line in new]


def cargo_test(*targets, manifest=None, locked=True):
    """The command that runs these test targets, of the workspace or of this manifest."""
    of = ["--manifest-path", str(manifest)] if manifest else ["--workspace"]
    tests = [word for target in targets for word in ("--test", target)]
    of += ["--locked"] if locked else []
    return ["cargo", "test", "--quiet", "--all-features", "--no-fail-fast", *of, *tests]


def failed_tests(command, **environment):
    """The names of the tests that fail."""
    # A test that has nothing to run against fails, and is not skipped.
    environment = {**os.environ, "CI": "true", "CARGO_TARGET_DIR": str(TARGET), **environment}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return told(run.returncode, run.stdout)


def told(code, output):
    """What the test runner, or the compiler, has told."""
    if code == 0:
        if not re.search(r"^test result: ok\. [1-9]", output, re.MULTILINE):
            raise NotTried("no test has run")
        return []
    failed = re.findall(r"^    ([\w:]+)$", output, re.MULTILINE)
    if failed:
        return sorted(set(failed))
    errors = re.findall(r"^error(?:\[E\d+\])?: (?!could not compile|aborting)(.+)$", output, re.MULTILINE)
    if errors:
        return [f"it does not build ({len(errors)} errors): {errors[0]}"]
    raise NotTried(" / ".join(output.strip().splitlines()[-3:]))
