"""What is pinned, and where: each version stands in one file, the one that installs it.

What nothing installs, because it is the distribution's or another project's own, stands in `tried.txt`.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests/reference/requirements.txt"
PUBLISHED = ROOT / "tests/reference/published/requirements.txt"
PROBE = ROOT / "tests/reference/probe/requirements.txt"
TRIED = Path(__file__).resolve().parent / "tried.txt"
ADAPTER = ROOT / "crates/hookwire-praxis/Cargo.toml"


class Requirement:
    """A line of a list: `name[extras]==version`."""

    def __init__(self, line):
        self.wanted, self.version = line.split("==")
        self.name = canonical(self.wanted.partition("[")[0])

    def at(self, version):
        return f"{self.wanted}=={version}"

    @property
    def pinned(self):
        return self.at(self.version)


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(text):
    lines = (line.strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def asked_for(file):
    """Without what the packages of this list pull in, which stands below a line that says so."""
    return requirements(file.read_text().partition("\n# Pulled in")[0])


def everything(*files):
    """By name; a package may be in several lists, with one version."""
    return {one.name: one for file in files for one in requirements(file.read_text())}


def crate_version(text, crate):
    """The one version that a manifest takes of this crate."""
    return re.search(rf'^{re.escape(crate)} = "=(\S+)"$', text, re.MULTILINE)[1]
