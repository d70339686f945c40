"""Makes the reference package available: `prepare_venv.py VENV REQUIREMENTS...`.

Several test processes may call this at the same time. The lock is the kernel's, so
it is free again when its holder dies; the stamp is written last, so a venv that was
left half made is made anew.
"""

import fcntl
import hashlib
import pathlib
import subprocess
import sys
import venv

if sys.version_info < (3, 11):
    sys.exit(f"the reference package needs Python 3.11 or newer, this is {sys.version.split()[0]}")

target, *requirements = map(pathlib.Path, sys.argv[1:])
wanted = b"".join(file.read_bytes() for file in requirements) + sys.version.encode()
wanted = hashlib.sha256(wanted).hexdigest()
stamp = target / "complete"

target.parent.mkdir(parents=True, exist_ok=True)
with open(target.with_suffix(".lock"), "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not (stamp.exists() and stamp.read_text() == wanted):
        venv.create(target, clear=True, with_pip=True)
        pip = [target / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*pip, *(f"-r{file}" for file in requirements)]).returncode != 0:
            sys.exit("pip could not install the reference package, see above")
        stamp.write_text(wanted)
