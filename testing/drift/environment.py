"""A virtual environment in which Python packages are moved, alone and together."""

import functools
import json
import subprocess
import venv
from pathlib import Path

import pins
from trial import NotTried, Trial, difference, failed_tests

LISTS = [pins.REFERENCE, pins.PUBLISHED, pins.PROBE]
EAGER = ["--upgrade", "--upgrade-strategy", "eager"]


class Conflict(NotTried):
    """What pip was asked for excludes itself."""


class Environment:
    def __init__(self, directory):
        self.directory = directory
        self.asked = [requirement for file in LISTS for requirement in pins.asked_for(file)]
        self.pinned = pins.everything(*LISTS)

    @functools.cached_property
    def python(self):
        venv.create(self.directory, with_pip=True)
        return self.directory / "bin/python"

    def pip(self, *arguments):
        command = [self.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            kind = Conflict if "ResolutionImpossible" in run.stderr else NotTried
            raise kind((run.stderr.strip() or "pip fails").splitlines()[-1])
        return run.stdout

    def would_install(self, *arguments):
        """The metadata of what pip would install into an empty environment."""
        report = self.pip("--dry-run", "--ignore-installed", "--report", "-", *arguments)
        return [one["metadata"] for one in json.loads(report)["install"]]

    @functools.cache
    def newest(self, name):
        """Of this package alone, whatever the others take."""
        return self.would_install("--no-deps", name)[0]["version"]

    @functools.cache
    def newer_pulled_in(self):
        """What the packages that the lists ask for pull in now that is not as listed, by name."""
        found = self.would_install(*(requirement.pinned for requirement in self.asked))
        versions = {pins.canonical(one["name"]): one["version"] for one in found}
        listed = {name: one.version for name, one in self.pinned.items()}
        return {
            name: (listed.get(name, "none"), versions.get(name, "none"))
            for name in sorted(listed.keys() | versions.keys())
            if listed.get(name) != versions.get(name)
        }

    def shape(self):
        command = [self.python, Path(__file__).with_name("shape.py")]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            return [f"the shape cannot be read: {run.stderr.strip().splitlines()[-1]}"]
        return run.stdout.splitlines()

    def trial(self, arguments, tests):
        """Moves what these arguments of pip move, all else as pinned, and runs the tests."""
        self.pip(*(requirement.pinned for requirement in self.pinned.values()))
        before = self.shape()
        self.pip(*arguments)
        changed = difference(before, self.shape())
        failed = [failed_tests(command, HOOKWIRE_REFERENCE_VENV=str(self.directory)) for command in tests]
        return Trial(sorted(set().union(*failed)), changed)


class Package:
    """A package that the lists ask for."""

    def __init__(self, requirement, environment, tests):
        self.requirement, self.environment, self.tests = requirement, environment, tests
        self.name, self.pinned = requirement.name, requirement.version

    def newest(self):
        return self.environment.newest(self.name)

    def trial(self, newest):
        return self.environment.trial([self.requirement.at(newest)], self.tests)


class PulledIn:
    """What these packages pull in, as they are pinned."""

    name = "what these pull in"

    def __init__(self, environment, tests):
        self.environment, self.tests = environment, tests
        self.pinned = f"{len(environment.pinned) - len(environment.asked)} packages"

    def newest(self):
        newer = self.environment.newer_pulled_in()
        return f"{len(newer)} others" if newer else self.pinned

    def trial(self, _):
        asked = [requirement.pinned for requirement in self.environment.asked]
        trial = self.environment.trial([*EAGER, *asked], self.tests)
        moved = [f"{name} {before} -> {now}" for name, (before, now) in self.environment.newer_pulled_in().items()]
        return Trial(trial.failed, moved + trial.changed)


class Together:
    """Everything newest at once, where more than one of the parts has moved."""

    name, pinned = "all of these at once", "-"

    def __init__(self, parts, environment, tests):
        self.parts, self.environment, self.tests = parts, environment, tests

    def newest(self):
        moved = sum(part.newest() != part.pinned for part in self.parts)
        return f"{moved} moved" if moved > 1 else self.pinned

    def trial(self, _):
        wanted = [requirement.wanted for requirement in self.environment.asked]
        return Trial(self.environment.trial([*EAGER, *wanted], self.tests).failed)
