"""A gateway that embeds the reference package: it is not installed, its requirements are read."""

import re

import pins
from environment import Conflict
from trial import Trial, difference

# It needs a newer Python than the tests do; `--python-version` has no say in what older versions of pip refuse.
METADATA_ONLY = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python"]


class Gateway:
    def __init__(self, requirement, environment):
        self.environment, self.requirement = environment, requirement
        self.name, self.pinned = requirement.name, requirement.version

    def newest(self):
        return self.environment.would_install(*METADATA_ONLY, self.name)[0]["version"]

    def requires(self, version):
        """What it requires of the packages that the tests pin."""
        (metadata,) = self.environment.would_install(*METADATA_ONLY, self.requirement.at(version))
        asked = {requirement.name for requirement in self.environment.asked}
        lines = metadata.get("requires_dist", [])
        return [line for line in lines if pins.canonical(re.match(r"[\w.-]+", line)[0]) in asked]

    def trial(self, newest):
        now = self.requires(newest)
        failed = [f"it requires {line}" for line in now if not self.takes_what_is_pinned(line)]
        return Trial(failed, difference(self.requires(self.pinned), now))

    def takes_what_is_pinned(self, line):
        wanted = line.partition(";")[0].strip()
        name = pins.canonical(re.match(r"[\w.-]+", wanted)[0])
        try:
            self.environment.would_install("--no-deps", self.environment.pinned[name].pinned, wanted)
        except Conflict:
            return False
        return True
