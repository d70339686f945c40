"""A program of the distribution: its newest package is unpacked, and not installed."""

import os
import re

from trial import WORK, NotTried, Trial, cargo_test, failed_tests, output


class Program:
    def __init__(self, requirement, *targets):
        self.name, self.pinned, self.targets = requirement.name, requirement.version, targets

    def newest(self):
        """As far as the distribution's lists were fetched here."""
        candidate = re.search(r"Candidate: (\S+)", output("apt-cache", "policy", self.name))
        if not candidate or candidate[1] == "(none)":
            raise NotTried("the distribution has no such package")
        return candidate[1]

    def trial(self, newest):
        place = WORK / self.name
        place.mkdir()
        output("apt-get", "download", f"{self.name}={newest}", cwd=place)
        (package,) = place.glob("*.deb")
        output("dpkg-deb", "--extract", package, place)
        path = os.pathsep.join([f"{place}/usr/sbin", os.environ["PATH"]])
        return Trial(failed_tests(cargo_test(*self.targets), PATH=path))
