"""The command's own judgement, without network: `python3 testing/drift/tests.py`."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import pins
from judge import run
from protocol import Protocol
from trial import NotTried, Trial, difference, told

PASSES = "test a_test ... ok\n\ntest result: ok. 1 passed; 0 failed\n"
FAILS = "failures:\n    module::a_test\n    another_test\n\ntest result: FAILED. 1 passed; 2 failed\n"


class Pin:
    name, pinned = "Pin", "1.0"

    def __init__(self, newest, *failed, changed=()):
        self.now, self.failed, self.changed = newest, failed, changed

    def newest(self):
        return self.now

    def trial(self, _):
        if self.failed == ("out of reach",):
            raise NotTried("out of reach")
        return Trial(self.failed, self.changed)


def code_and_lines(*chosen):
    lines = []
    code = run(chosen, lines.append)
    return code, "\n".join(lines)


class Judgement(unittest.TestCase):
    def test_what_is_as_pinned_and_what_passes_is_well(self):
        code, lines = code_and_lines(Pin("1.0", "never tried"), Pin("2.0", changed=["+ a field"]))
        self.assertEqual(code, 0)
        self.assertIn("as pinned", lines)
        self.assertIn("passes", lines)
        self.assertIn("+ a field", lines)

    def test_a_pin_whose_tests_fail_is_named_with_them(self):
        code, lines = code_and_lines(Pin("2.0", "a_test", "another_test"), Pin("1.0"))
        self.assertEqual(code, 1)
        self.assertIn("FAILS: a_test, another_test", lines)
        self.assertTrue(lines.endswith("needs a look: Pin"))

    def test_a_pin_that_cannot_be_tried_does_not_pass(self):
        code, lines = code_and_lines(Pin("2.0", "out of reach"))
        self.assertEqual(code, 1)
        self.assertIn("could not be tried: out of reach", lines)

    def test_failed_tests_are_told_by_name_and_what_does_not_build_by_its_first_error(self):
        self.assertEqual(told(0, PASSES), [])
        self.assertEqual(told(101, FAILS), ["another_test", "module::a_test"])
        errors = "error[E0046]: not all trait items implemented\nerror: could not compile `a`\n"
        self.assertEqual(told(101, errors), ["it does not build (1 errors): not all trait items implemented"])

    def test_a_run_without_tests_or_without_words_tells_nothing(self):
        for code, output in [(0, "test result: ok. 0 passed; 0 failed"), (0, ""), (101, "killed")]:
            with self.assertRaises(NotTried):
                told(code, output)

    def test_a_difference_has_what_went_and_what_came(self):
        self.assertEqual(difference(["a", "b"], ["b", "c"]), ["- a", "+ c"])


class Definitions(unittest.TestCase):
    """A protocol's definition in a repository, with a tag for each version."""

    def trial(self, before, now):
        with tempfile.TemporaryDirectory() as repository:
            git = ["git", "-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.org"]
            subprocess.run([*git, "init", "--quiet"], check=True)
            for version, text in [("v0.9.0", before), ("v0.10.0", now), ("v0.11.0-rc.1", "")]:
                Path(repository, "a.proto").write_text(text)
                subprocess.run([*git, "add", "a.proto"], check=True)
                subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", version], check=True)
                subprocess.run([*git, "tag", version], check=True)
            protocol = Protocol(pins.Requirement("gateway==0.9.0"), repository, "a.proto")
            self.assertEqual(protocol.newest(), "0.10.0")
            return protocol.trial("0.10.0")

    def test_other_comments_are_no_change(self):
        trial = self.trial("// One.\nint32 a = 1;\n", "int32 a = 1; // Another.\n")
        self.assertEqual((trial.failed, trial.changed), ([], []))

    def test_what_is_new_is_told_and_what_went_fails(self):
        trial = self.trial("int32 a = 1;\n", "int32 a = 1;\nint32 b = 2;\n")
        self.assertEqual((trial.failed, trial.changed), ([], ["+ int32 b = 2;"]))
        trial = self.trial("int32 a = 1;\n", "int64 a = 1;\n")
        self.assertEqual(trial.failed, ["a.proto has other lines"])
        self.assertEqual(trial.changed, ["- int32 a = 1;", "+ int64 a = 1;"])


class Reading(unittest.TestCase):
    def test_a_list_has_what_it_asks_for_and_what_that_pulls_in(self):
        asked = [requirement.pinned for requirement in pins.asked_for(pins.REFERENCE)]
        everything = pins.everything(pins.REFERENCE)
        self.assertEqual(asked, [everything["cpex"].pinned])
        self.assertTrue(asked[0].startswith("cpex[grpc]=="))
        self.assertIn("protobuf", everything)

    def test_a_crate_has_one_version(self):
        manifest = '[dependencies]\na-core = "=0.4.0"\na = "=0.5.0"\nb = "1"\n'
        self.assertEqual(pins.crate_version(manifest, "a"), "0.5.0")


if __name__ == "__main__":
    unittest.main()
