"""A plugin that allows, as cheap as the reference makes it."""

from cpex.framework import Plugin
from cpex.framework.hooks.tools import ToolPreInvokeResult


class Allow(Plugin):
    async def tool_pre_invoke(self, payload, context):
        return ToolPreInvokeResult()
