"""A protocol of a project that is not run here: its definition is compared, as it was and as it is now."""

import re
import tempfile
from pathlib import PurePath

from trial import NotTried, Trial, difference, output


class Protocol:
    def __init__(self, requirement, repository, file):
        self.name, self.pinned = requirement.name, requirement.version
        self.repository, self.file = repository, file

    def newest(self):
        """Of the releases: a tag with more than numbers is none."""
        tags = output("git", "ls-remote", "--tags", "--refs", self.repository)
        versions = re.findall(r"refs/tags/v(\d+(?:\.\d+)*)$", tags, re.MULTILINE)
        if not versions:
            raise NotTried("there are no releases")
        return max(versions, key=lambda version: [int(number) for number in version.split(".")])

    def definition(self, version):
        """Its lines, without comments."""
        with tempfile.TemporaryDirectory() as copy:
            output("git", "init", "--quiet", cwd=copy)
            output("git", "fetch", "--quiet", "--depth", "1", self.repository, f"refs/tags/v{version}", cwd=copy)
            text = output("git", "show", f"FETCH_HEAD:{self.file}", cwd=copy)
        lines = (line.partition("//")[0].strip() for line in text.splitlines())
        return [line for line in lines if line]

    def trial(self, newest):
        changed = difference(self.definition(self.pinned), self.definition(newest))
        went = any(line.startswith("-") for line in changed)
        return Trial([f"{PurePath(self.file).name} has other lines"] if went else [], changed)
