#!/usr/bin/env bash
# cpex 0.1.4 (Python): the setting for a plugin's time limit limits nothing in a plugin server.
#
# `PLUGINS_PLUGIN_TIMEOUT` is described as the time limit of a plugin, in seconds. The package's own
# `get_plugin_manager()` obeys it. The servers for external plugins make their manager without it, so
# there the limit is the built-in 30 s, whatever is set: a hook of 3 s with a limit of 1 s runs to its
# end. A gateway that sets 1 s on both sides waits 30 times as long.
#
# Seen, with PLUGINS_PLUGIN_TIMEOUT=1 and a hook that takes 3 s:
#   in process: PluginTimeoutError
#   in a plugin server: done
# Fails if that changes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
timeout 500 venv/bin/pip install --quiet --disable-pip-version-check -r "$here/../tests/reference/requirements.txt"
cat > slow_plugin.py <<'PYTHON'
import asyncio

from cpex.framework import Plugin, PluginResult


class Slow(Plugin):
    async def tool_pre_invoke(self, payload, context):
        await asyncio.sleep(3)
        return PluginResult(metadata={"outcome": "done"})
PYTHON
cat > plugins.yaml <<'YAML'
plugins:
  - {name: Slow, kind: slow_plugin.Slow, hooks: [tool_pre_invoke], mode: sequential}
plugin_dirs: []
YAML
export PLUGINS_PLUGIN_TIMEOUT=1 PLUGINS_ENABLED=true PLUGINS_CONFIG_FILE=plugins.yaml PYTHONPATH=.
timeout 120 venv/bin/python - > seen 2> log <<'PYTHON'
import asyncio

from cpex.framework import GlobalContext, ToolPreInvokePayload, get_plugin_manager


async def main():
    manager = get_plugin_manager()
    await manager.initialize()
    payload = ToolPreInvokePayload(name="tool", args={})
    try:
        result, _ = await manager.invoke_hook("tool_pre_invoke", payload, GlobalContext(request_id="1"))
        outcome = (result.metadata or {}).get("outcome")
    except Exception as error:
        outcome = "PluginTimeoutError" if "exceeded 1s timeout" in str(error) else repr(error)
    print("in process:", outcome)
    await manager.shutdown()


asyncio.run(main())
PYTHON
timeout 120 venv/bin/python - >> seen 2>> log <<'PYTHON'
import asyncio

from cpex.framework.external.grpc.proto import plugin_service_pb2 as messages
from cpex.framework.external.unix.protocol import read_message, write_message_async
from cpex.framework.external.unix.server.server import UnixSocketPluginServer


async def main():
    server = UnixSocketPluginServer("plugins.yaml", "plugins.sock")
    await server.start()
    reader, writer = await asyncio.open_unix_connection("plugins.sock")
    call = messages.InvokeHookRequest(hook_type="tool_pre_invoke", plugin_name="Slow")
    call.payload.update({"name": "tool", "args": {}})
    call.context.global_context.request_id = "1"
    await write_message_async(writer, call.SerializeToString())
    reply = messages.InvokeHookResponse.FromString(await read_message(reader, timeout=60))
    outcome = reply.error.message or reply.result["metadata"]["outcome"]
    print("in a plugin server:", outcome)
    writer.close()
    await server.stop()


asyncio.run(main())
PYTHON
cat seen
diff seen - <<'EXPECTED'
in process: PluginTimeoutError
in a plugin server: done
EXPECTED
