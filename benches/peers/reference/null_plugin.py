"""A plugin that gives the payload back, as the null server of the benchmarks does."""

from cpex.framework import Plugin
from cpex.framework.hooks.prompts import PromptPrehookResult


class Null(Plugin):
    async def prompt_pre_fetch(self, payload, context):
        return PromptPrehookResult(modified_payload=payload)
