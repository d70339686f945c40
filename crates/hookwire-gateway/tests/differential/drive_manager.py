"""Runs cases through the reference's plugin manager: `drive_manager.py CASES ANSWERS`, a line of JSON each.

A case: {"plugins": [entries], "policies": {hook: [fields]}, "default_policy", "timeout",
         "steps": [{"request", "hook", "payload", "context"}]}
Steps of one request share its context. A request that was denied or has failed has no further ones, and
when a concurrent plugin did that, no request has: the calls beside it are cancelled, and the reference's
client then takes the reply to such a call for the reply to the plugin's next one.
An answer has a list with one object for each step, null for those that were left out:
  {"failed": plugin, "state"}  or
  {"allowed", "payload", "violation", "metadata", "retry_delay_ms", "state", "contexts", "records"}
"""

import asyncio
import json
import logging
import sys

from cpex.framework.errors import PluginError
from cpex.framework.hooks.policies import HookPayloadPolicy
from cpex.framework.hooks.registry import get_hook_registry
from cpex.framework.manager import TenantPluginManager
from cpex.framework.models import Config, GlobalContext


def plain(value):
    return value.model_dump() if hasattr(value, "model_dump") else value


def violation_of(result):
    if result.violation is None:
        return None
    # A private attribute, which is not dumped.
    return plain(result.violation) | {"plugin_name": result.violation.plugin_name}


async def step_of(manager, step, requests):
    context, table = requests.setdefault(
        step["request"], (GlobalContext(**step["context"]), {})
    )
    payload_type = get_hook_registry().get_payload_type(step["hook"])
    payload = payload_type.model_validate(step["payload"])
    try:
        result, contexts = await manager.invoke_hook(step["hook"], payload, context, dict(table))
    except PluginError as error:
        return {"failed": error.error.plugin_name, "state": dict(context.state)}
    if result.background_tasks:
        await asyncio.gather(*result.background_tasks)
    table.update(contexts or {})
    names = {ref.uuid: ref.name for ref in manager._registry.get_all_plugins()}
    return {
        "allowed": result.continue_processing,
        "payload": plain(result.modified_payload),
        "violation": violation_of(result),
        "metadata": result.metadata or {},
        "retry_delay_ms": result.retry_delay_ms,
        "state": dict(context.state),
        "contexts": {
            names[key[len(context.request_id) :]]: {"state": own.state, "metadata": own.metadata}
            for key, own in table.items()
        },
        "records": [
            {
                "plugin": record.plugin_name,
                "status": record.status.value,
                "allow": record.effective_allow,
                "modified": record.payload_modified,
            }
            for record in result.executions
        ],
    }


async def run(case):
    manager = TenantPluginManager(
        Config(plugins=case["plugins"]),
        timeout=case["timeout"],
        hook_policies={
            hook: HookPayloadPolicy(writable_fields=frozenset(fields))
            for hook, fields in case["policies"].items()
        },
        default_hook_policy=case["default_policy"],
    )
    await manager.initialize()
    try:
        concurrent = {entry["name"] for entry in case["plugins"] if entry["mode"] == "concurrent"}
        requests, ended, answers = {}, set(), []
        for step in case["steps"]:
            answer = None
            if step["request"] not in ended:
                answer = await step_of(manager, step, requests)
                if not answer.get("allowed"):
                    by = answer.get("failed") or answer["violation"]["plugin_name"]
                    ended |= {0, 1} if by in concurrent else {step["request"]}
            answers.append(answer)
        return answers
    finally:
        await manager.shutdown()


async def main():
    with open(sys.argv[1]) as cases, open(sys.argv[2], "w") as answers:
        for case in cases:
            answer = await run(json.loads(case))
            answers.write(json.dumps(answer) + "\n")


logging.disable(logging.CRITICAL)
asyncio.run(main())
