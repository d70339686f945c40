"""A program of the distribution: its newest package is unpacked, and not installed."""

import os
import re
import subprocess

from trial import WORK, NotTried, Trial, cargo_test, failed_tests


class Program:
    def __init__(self, requirement, *targets):
        self.name, self.pinned, self.targets = requirement.name, requirement.version, targets

    def newest(self):
        """As far as the distribution's lists were fetched here."""
        candidate = re.search(r"Candidate: (\S+)", self.run("apt-cache", "policy", self.name))
        if not candidate or candidate[1] == "(none)":
            raise NotTried("the distribution has no such package")
        return candidate[1]

    def trial(self, newest):
        place = WORK / self.name
        place.mkdir()
        self.run("apt-get", "download", f"{self.name}={newest}", cwd=place)
        (package,) = place.glob("*.deb")
        self.run("dpkg-deb", "--extract", package, place)
        path = os.pathsep.join([f"{place}/usr/sbin", os.environ["PATH"]])
        return Trial(failed_tests(cargo_test(*self.targets), PATH=path))

    def run(self, *command, cwd=None):
        try:
            run = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
        except FileNotFoundError:
            raise NotTried(f"there is no {command[0]} here") from None
        if run.returncode != 0:
            raise NotTried(run.stderr.strip().splitlines()[-1])
        return run.stdout
