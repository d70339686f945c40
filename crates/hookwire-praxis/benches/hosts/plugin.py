"""The plugin of the comparison, one class for the reference server and for the host's worker.

It does what the payload's `args` say: `wait_ms` is how long it waits, as for a model, and with
`change` the payload comes back with the process that changed it.
"""

import asyncio
import os

from cpex.framework import Plugin
from cpex.framework.models import PluginResult


class Waits(Plugin):
    async def tool_pre_invoke(self, payload, context):
        args = payload.args
        if args["wait_ms"]:
            await asyncio.sleep(args["wait_ms"] / 1000)
        if not args["change"]:
            return PluginResult()
        changed = payload.model_copy(update={"args": {**args, "process": os.getpid()}})
        return PluginResult(modified_payload=changed)
