#!/usr/bin/env bash
# cpex-content-moderation 1.0.0 (Python): importing the published plugin puts test doubles in the place
# of another package, for the whole process.
#
# Its `__init__` looks whether `mcpgateway` has been imported, not whether it is installed, and if it
# has not, registers objects of `unittest.mock.MagicMock` under that name and three below it. They were
# meant for its unit tests. So where the plugin is loaded first, everybody's later `import mcpgateway`
# gets a mock, though the real package is there; and the plugin's own class, whose base is one of them,
# is no class but a MagicMock itself. Any attribute of it exists and any call succeeds, until something
# awaits one: TypeError.
#
# Seen, Python 3.11.7, beside a package `mcpgateway` with the constant NAME:
#   without the plugin: mcpgateway.NAME is 'the real one'
#   after importing it: mcpgateway.NAME is a MagicMock
#   its plugin is a class: False
#   its plugin's hook: TypeError
# Fails if that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
timeout 300 venv/bin/pip install --quiet --disable-pip-version-check cpex-content-moderation==1.0.0
mkdir mcpgateway
echo "NAME = 'the real one'" > mcpgateway/__init__.py
timeout 60 venv/bin/python - > seen <<'PYTHON'
import mcpgateway

print(f"without the plugin: mcpgateway.NAME is {mcpgateway.NAME!r}")
PYTHON
timeout 60 venv/bin/python - >> seen <<'PYTHON'
import asyncio

from cpex_content_moderation import ContentModerationPlugin

import mcpgateway

print(f"after importing it: mcpgateway.NAME is a {type(mcpgateway.NAME).__name__}")
print(f"its plugin is a class: {isinstance(ContentModerationPlugin, type)}")


async def hook():
    await ContentModerationPlugin({}).tool_pre_invoke(None, None)


try:
    asyncio.run(hook())
    print("its plugin's hook: ran")
except TypeError:
    print("its plugin's hook: TypeError")
PYTHON
cat seen
diff seen - <<'EXPECTED'
without the plugin: mcpgateway.NAME is 'the real one'
after importing it: mcpgateway.NAME is a MagicMock
its plugin is a class: False
its plugin's hook: TypeError
EXPECTED
