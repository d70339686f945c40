"""The reference's plugin manager with the entries in argv[1]: one JSON line in, one out.

{"callers", "seconds"} -> {"chains", "elapsed", "cpu"}: so many callers that run the hook's plugins over and
over; elapsed and CPU time of this process are seconds.
"""

import asyncio
import json
import logging
import sys
import time

from cpex.framework.hooks.tools import ToolPreInvokePayload
from cpex.framework.manager import TenantPluginManager
from cpex.framework.models import Config, GlobalContext


async def caller(manager, until):
    chains = 0
    while time.perf_counter() < until:
        payload = ToolPreInvokePayload(name="search", args={"topic": "rust programming", "lang": "en"})
        context = GlobalContext(request_id="0123456789abcdef")
        result, _ = await manager.invoke_hook("tool_pre_invoke", payload, context, {})
        assert result.continue_processing
        chains += 1
    return chains


async def turn(manager, callers, seconds):
    start, cpu = time.perf_counter(), time.process_time()
    chains = sum(await asyncio.gather(*(caller(manager, start + seconds) for _ in range(callers))))
    return {"chains": chains, "elapsed": time.perf_counter() - start, "cpu": time.process_time() - cpu}


async def main():
    manager = TenantPluginManager(Config(plugins=json.loads(sys.argv[1])), timeout=30)
    await manager.initialize()
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        print(json.dumps(await turn(manager, order["callers"], order["seconds"])), flush=True)
    await manager.shutdown()


logging.disable(logging.CRITICAL)
asyncio.run(main())
