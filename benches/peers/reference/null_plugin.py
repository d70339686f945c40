"""Plugins that give the payload back, as the null server of the benchmarks does: at once, or after a while."""

import asyncio
import time

from cpex.framework import Plugin
from cpex.framework.hooks.prompts import PromptPrehookResult


class Null(Plugin):
    async def prompt_pre_fetch(self, payload, context):
        return PromptPrehookResult(modified_payload=payload)


class Waits(Plugin):
    """As one that asks a model or a database: 10 ms in which others can be served."""

    async def prompt_pre_fetch(self, payload, context):
        await asyncio.sleep(0.01)
        return PromptPrehookResult(modified_payload=payload)


class Burns(Plugin):
    """As one that computes: 2 ms in which nobody else can be served."""

    async def prompt_pre_fetch(self, payload, context):
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass
        return PromptPrehookResult(modified_payload=payload)
