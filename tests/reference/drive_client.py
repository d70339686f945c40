"""Drives the reference CLIENT against any socket: JSON lines in, JSON lines out.

The first line sets it up: {"socket", "plugin", "timeout"?, "reconnect_attempts"?, "reconnect_delay"?}
for the client of the Unix socket, or {"grpc", "plugin"} for that of gRPC, with its section `grpc`.
A step for another plugin of the same server has its name as `plugin`.
Every further line is a step and is answered by one line with `ok`, `elapsed_ms`, `connected`, and:
  {"do": "initialize"} and {"do": "shutdown"}
  {"do": "invoke", "hook", "payload", "context"?, "timeout"?, "cancel_after_ms"?, "typed"?}
        -> `result` and `context`, or `error` (a client error as an object, `"cancelled"`, or `{"exception"}`).
        Without `context` the context of the step before is used again; `typed: false` sends the payload as it is.
  {"do": "concurrent", "n", ...as invoke} -> `calls`, one answer each; "{i}" in strings becomes the call's number
  {"do": "sleep", "ms"}
"""

import asyncio
import json
import sys
import time

import orjson
from cpex.framework.errors import PluginError
from cpex.framework.external.grpc.client import GrpcExternalPlugin
from cpex.framework.external.unix.client import UnixSocketExternalPlugin
from cpex.framework.hooks import identity, message  # noqa: F401, registers their hooks
from cpex.framework.hooks.registry import get_hook_registry
from cpex.framework.models import (
    GlobalContext,
    GRPCClientConfig,
    PluginConfig,
    PluginContext,
    UnixSocketClientConfig,
)


def numbered(value, i):
    """`value` with every "{i}" in its strings replaced by the number of the call."""
    return json.loads(json.dumps(value).replace("{i}", str(i)))


def described(error):
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, PluginError):
        return error.error.model_dump()
    return {"exception": repr(error)}


class Driver:
    def __init__(self, setup):
        self.setup, self.clients = setup, {}
        self.client = self.client_of(setup["plugin"])
        self.context = PluginContext(global_context=GlobalContext(request_id="drive"))

    def client_of(self, plugin):
        if plugin not in self.clients:
            make, transport = self.transport()
            config = PluginConfig(name=plugin, kind="external", hooks=["tool_pre_invoke"], **transport)
            self.clients[plugin] = make(config)
        return self.clients[plugin]

    def transport(self):
        if "grpc" in self.setup:
            return GrpcExternalPlugin, {"grpc": GRPCClientConfig(**self.setup["grpc"])}
        keys = ("timeout", "reconnect_attempts", "reconnect_delay")
        options = {key: self.setup[key] for key in keys if key in self.setup}
        unix_socket = UnixSocketClientConfig(path=self.setup["socket"], **options)
        return UnixSocketExternalPlugin, {"unix_socket": unix_socket}

    async def step(self, step):
        self.client = self.client_of(step.get("plugin", self.setup["plugin"]))
        if step["do"] == "invoke":
            if "context" in step:
                self.context = PluginContext.model_validate(step["context"])
            return await self.timed(self.invoke(step, self.context), step.get("cancel_after_ms"))
        if step["do"] == "concurrent":
            return await self.timed(self.concurrent(step))
        if step["do"] == "sleep":
            return await self.timed(asyncio.sleep(step["ms"] / 1000))
        if step["do"] in ("initialize", "shutdown"):
            return await self.timed(getattr(self.client, step["do"])())
        raise ValueError(f"unknown step: {step['do']}")

    async def timed(self, work, cancel_after_ms=None):
        start = time.monotonic()
        task = asyncio.ensure_future(work)
        if cancel_after_ms is not None:
            asyncio.get_running_loop().call_later(cancel_after_ms / 1000, task.cancel)
        try:
            answer = {"ok": True, **(await task or {})}
        except (Exception, asyncio.CancelledError) as error:
            answer = {"ok": False, "error": described(error)}
        # The client of gRPC does not say.
        connected = getattr(self.client, "connected", None)
        return {**answer, "elapsed_ms": (time.monotonic() - start) * 1000, "connected": connected}

    async def invoke(self, step, context):
        if "timeout" in step:
            self.client._timeout = step["timeout"]
        payload = step["payload"]
        if step.get("typed", True):
            payload = get_hook_registry().json_to_payload(step["hook"], payload)
        result = await self.client.invoke_hook(step["hook"], payload, context)
        return {"result": result.model_dump(), "context": context.model_dump()}

    async def concurrent(self, step):
        fresh = {"global_context": {"request_id": "drive-{i}"}}
        calls = [
            self.timed(
                self.invoke(numbered(step, i), PluginContext.model_validate(numbered(step.get("context", fresh), i)))
            )
            for i in range(step["n"])
        ]
        return {"calls": await asyncio.gather(*calls)}


async def main():
    next_line = lambda: asyncio.to_thread(sys.stdin.readline)  # noqa: E731, the client's socket goes on meanwhile
    driver = Driver(json.loads(await next_line()))
    while line := await next_line():
        answer = await driver.step(json.loads(line))
        # orjson, since it writes NaN as null where json would write what no JSON reader takes.
        sys.stdout.buffer.write(orjson.dumps(answer, default=str) + b"\n")
        sys.stdout.buffer.flush()


asyncio.run(main())
