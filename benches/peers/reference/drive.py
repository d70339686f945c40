"""Drives the reference client against the socket in argv[1]: one JSON line in, one out.

{"connections", "callers", "seconds"} -> {"calls", "elapsed", "cpu"}: so many clients of one connection each,
shared by so many callers that call over and over; elapsed and CPU time of this process are seconds.
"""

import asyncio
import json
import sys
import time

from cpex.framework.external.unix.client import UnixSocketExternalPlugin
from cpex.framework.hooks.prompts import PromptPrehookPayload
from cpex.framework.models import GlobalContext, PluginConfig, PluginContext, UnixSocketClientConfig

HOOK = "prompt_pre_fetch"


def client():
    socket = UnixSocketClientConfig(path=sys.argv[1], timeout=30)
    return UnixSocketExternalPlugin(PluginConfig(name="Null", kind="external", hooks=[HOOK], unix_socket=socket))


async def caller(client, until):
    payload = PromptPrehookPayload(prompt_id="p-1", args={"topic": "rust programming", "lang": "en"})
    context = PluginContext(global_context=GlobalContext(request_id="0123456789abcdef"))
    calls = 0
    while time.perf_counter() < until:
        await client.invoke_hook(HOOK, payload, context)
        calls += 1
    return calls


async def turn(clients, callers, seconds):
    start, cpu = time.perf_counter(), time.process_time()
    work = (caller(clients[i % len(clients)], start + seconds) for i in range(callers))
    calls = sum(await asyncio.gather(*work))
    return {"calls": calls, "elapsed": time.perf_counter() - start, "cpu": time.process_time() - cpu}


async def main():
    clients = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        while len(clients) < order["connections"]:
            clients.append(client())
            await clients[-1].initialize()
        done = await turn(clients[: order["connections"]], order["callers"], order["seconds"])
        print(json.dumps(done), flush=True)


asyncio.run(main())
