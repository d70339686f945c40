"""Looks at pins, one after the other, and says whether all is well."""

from trial import NotTried


def look(pin):
    """The newest version, what came of it in words, whether that is well, and what has changed."""
    newest = "?"
    try:
        newest = pin.newest()
        if newest == pin.pinned:
            return newest, "as pinned", True, []
        trial = pin.trial(newest)
    except NotTried as why:
        return newest, f"could not be tried: {why}", False, []
    if trial.failed:
        return newest, "FAILS: " + ", ".join(trial.failed), False, trial.changed
    return newest, "passes", True, trial.changed


def run(chosen, tell):
    """The exit code."""
    tell(f"{'pin':30} {'pinned':20} {'newest':20} tests")
    broken = []
    for pin in chosen:
        newest, outcome, is_well, changed = look(pin)
        tell(f"{pin.name:30} {pin.pinned:20} {newest:20} {outcome}")
        for line in changed:
            tell(f"    {line}")
        if not is_well:
            broken.append(pin.name)
    if broken:
        tell(f"needs a look: {', '.join(broken)}")
        return 1
    tell("nothing breaks")
    return 0
