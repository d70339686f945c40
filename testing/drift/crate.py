"""A Rust crate that a manifest takes at exactly one version: moved in a copy of the sources."""

import re
import shutil
import tempfile

import pins
from trial import WORK, NotTried, Trial, cargo_test, failed_tests, output


class Crate:
    def __init__(self, name, manifest):
        self.name, self.manifest = name, manifest
        self.pinned = pins.crate_version(manifest.read_text(), name)

    def newest(self):
        # Not in the workspace, where cargo tells what is locked.
        with tempfile.TemporaryDirectory() as outside:
            told = output("cargo", "info", "--quiet", self.name, cwd=outside)
        found = re.search(r"^version: (\S+)", told, re.MULTILINE)
        if not found:
            raise NotTried("cargo info tells no version")
        return found[1]

    def trial(self, newest):
        """Moves the crate, and those that are pinned to the same version: they come out together."""
        copy = WORK / "source"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(pins.ROOT, copy, ignore=shutil.ignore_patterns("target", ".git"))
        manifest = copy / self.manifest.relative_to(pins.ROOT)
        text = manifest.read_text()
        manifest.write_text(text.replace(f'"={self.pinned}"', f'"={newest}"'))
        return Trial(failed_tests(cargo_test(manifest=manifest, locked=False)))
