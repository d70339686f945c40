"""Plugins for the tests, served by the reference server (see plugins.yaml).

Each one does one thing that can be told from the outside. Those that take orders read
them from the payload's `args`; numbers arrive as doubles.
"""

import asyncio
import os
import time
from collections import Counter as Tally

from cpex.framework import Plugin, PluginViolation
from cpex.framework.errors import PluginError
from cpex.framework.hooks.http import HttpAuthCheckPermissionResultPayload, HttpHeaderPayload

# The server knows these hooks only if the plugin's module imports theirs.
from cpex.framework.hooks.identity import DelegationResult, IdentityResult
from cpex.framework.hooks.message import CmfHookType, MessageHookType
from cpex.framework.models import PluginErrorModel, PluginResult


def upper(value):
    """Every string inside, in capitals; keys stay as they are."""
    if isinstance(value, str):
        return value.upper()
    if isinstance(value, list):
        return [upper(item) for item in value]
    if isinstance(value, dict):
        return {key: upper(item) for key, item in value.items()}
    return value


class Transform(Plugin):
    """Serves every hook there is: what the hook is about comes back in capitals."""

    async def http_pre_request(self, payload, context):
        return PluginResult(modified_payload=HttpHeaderPayload(upper(payload.headers.root)))

    async def http_post_request(self, payload, context):
        return PluginResult(modified_payload=HttpHeaderPayload(upper(payload.response_headers.root)))

    async def http_auth_resolve_user(self, payload, context):
        return PluginResult(modified_payload={"email": "user@example.com", "credentials": upper(payload.credentials)})

    async def http_auth_check_permission(self, payload, context):
        granted = payload.permission.startswith("tools.")
        return PluginResult(
            modified_payload=HttpAuthCheckPermissionResultPayload(granted=granted, reason=upper(payload.permission))
        )

    async def identity_resolve(self, payload, context):
        # No `subject`: it holds sets, on which the reference server's reply fails.
        token = payload.raw_token.get_secret_value()
        if token == "bad":
            return PluginResult(
                modified_payload=IdentityResult(rejected=True, reject_status=403, reject_reason="bad token")
            )
        return PluginResult(
            modified_payload=IdentityResult(raw_claims={"token": upper(token), "source": upper(payload.source)})
        )

    async def token_delegate(self, payload, context):
        token = payload.bearer_token.get_secret_value() if payload.bearer_token else payload.target_name
        return PluginResult(
            modified_payload=DelegationResult(
                delegated_token=upper(token),
                forwarded_headers={"X-Target": upper(payload.target_name)},
                cache_key=payload.target_name,
                cache_ttl=60,
            )
        )


def _capitals(field):
    async def hook(self, payload, context):
        changed = upper(payload.model_dump()[field])
        return PluginResult(modified_payload=payload.model_copy(update={field: changed}))

    return hook


async def _message_capitals(self, payload, context):
    content = [
        part.model_copy(update={"text": upper(part.text)}) if hasattr(part, "text") else part
        for part in payload.message.content
    ]
    message = payload.message.model_copy(update={"content": content})
    return PluginResult(modified_payload=payload.model_copy(update={"message": message}))


for _hook, _field in {
    "tool_pre_invoke": "args",
    "tool_post_invoke": "result",
    "prompt_pre_fetch": "args",
    "prompt_post_fetch": "result",
    "resource_pre_fetch": "metadata",
    "resource_post_fetch": "content",
    "agent_pre_invoke": "messages",
    "agent_post_invoke": "messages",
}.items():
    setattr(Transform, _hook, _capitals(_field))
for _hook in [MessageHookType.EVALUATE, *CmfHookType]:
    setattr(Transform, _hook.value, _message_capitals)


class Deny(Plugin):
    """Refuses everything, with every field that a violation has."""

    async def tool_pre_invoke(self, payload, context):
        return PluginResult(
            continue_processing=False,
            violation=PluginViolation(
                reason="not today",
                description="the fixture refuses every call",
                code="FIXTURE_DENIED",
                details={"tool": payload.name, "tags": ["a", None, {"deep": True}]},
                mcp_error_code=-32001,
                http_status_code=429,
                http_headers={"Retry-After": "7"},
            ),
            denial_metadata={"exact": 2**60, "negative": -(2**62), "ratio": 1.5, "blocked": True},
        )

    tool_post_invoke = tool_pre_invoke


class Annotate(Plugin):
    """Allows, and fills everything that may stand beside a payload."""

    async def tool_pre_invoke(self, payload, context):
        return PluginResult(
            metadata={"seen": payload.name, "nested": {"list": [1, 2.5, None, True]}},
            http_headers={"X-Fixture": "annotated"},
            retry_delay_ms=250,
            denial_metadata={"exact": 2**60, "ratio": 0.25, "flag": False},
        )


class ContextKeeper(Plugin):
    """Remembers in the context what it saw, and says what it can see.

    args.forget lists what it empties instead: "state", "metadata", "shared" (the global
    state); all three at once is what the wire cannot say. args.meddle changes what is not its.
    """

    async def tool_pre_invoke(self, payload, context):
        args, shared = payload.args or {}, context.global_context
        if args.get("meddle"):
            shared.metadata["meddled"] = True
            shared.user, shared.tenant_id = "mallory", "evil"
        return self._visit("tool_pre_invoke", context, args.get("forget", []))

    async def tool_post_invoke(self, payload, context):
        return self._visit("tool_post_invoke", context)

    async def resource_pre_fetch(self, payload, context):
        return self._visit("resource_pre_fetch", context)

    def _visit(self, hook, context, forget=()):
        shared = context.global_context
        for part in forget:
            {"state": context.state, "metadata": context.metadata, "shared": shared.state}[part].clear()
        if not forget:
            context.state["calls"] = int(context.state.get("calls", 0)) + 1
            context.metadata["hooks"] = [*context.metadata.get("hooks", []), hook]
            shared.state["total"] = int(shared.state.get("total", 0)) + 1
        return PluginResult(
            metadata={
                "calls": context.state.get("calls", 0),
                "hooks": context.metadata.get("hooks", []),
                "total": shared.state.get("total", 0),
                "request_id": shared.request_id,
                "server_id": shared.server_id,
                "tenant_id": shared.tenant_id,
                "user": shared.user,
                "global_metadata": shared.metadata,
            }
        )


class Slow(Plugin):
    """Waits args.delay_ms as a plugin waits for a model: other connections go on. Echoes the payload."""

    async def tool_pre_invoke(self, payload, context):
        await asyncio.sleep(payload.args.get("delay_ms", 0) / 1000)
        return PluginResult(modified_payload=payload)


class Busy(Plugin):
    """Holds the CPU, and with it the whole server, for args.burn_ms. Echoes the payload."""

    async def tool_pre_invoke(self, payload, context):
        until = time.perf_counter() + payload.args.get("burn_ms", 0) / 1000
        while time.perf_counter() < until:
            pass
        return PluginResult(modified_payload=payload)


class Crash(Plugin):
    """Fails as args.how says: "raise" (the default), "plugin_error", or "exit" (ends the server)."""

    async def tool_pre_invoke(self, payload, context):
        how = (payload.args or {}).get("how", "raise")
        if how == "exit":
            os._exit(3)
        if how == "plugin_error":
            raise PluginError(
                error=PluginErrorModel(
                    message="the fixture says no", plugin_name="inner", code="FIXTURE", details={"lost": True},
                    mcp_error_code=-32050,
                )
            )
        raise RuntimeError("the fixture crashed")


class Echo(Plugin):
    """Gives the payload back unchanged."""

    async def tool_pre_invoke(self, payload, context):
        return PluginResult(modified_payload=payload)

    async def tool_post_invoke(self, payload, context):
        return PluginResult(modified_payload=payload)


class Counter(Plugin):
    """Counts its executions per args.marker, here and in the file HOOKWIRE_EXECUTIONS.

    The file has one line (the marker) per execution and survives the server. After
    counting it waits args.delay_ms, then ends the server if args.exit is true.
    """

    _seen = Tally()

    async def tool_pre_invoke(self, payload, context):
        marker = str(payload.args.get("marker", ""))
        self._seen[marker] += 1
        if path := os.environ.get("HOOKWIRE_EXECUTIONS"):
            with open(path, "a") as file:
                file.write(f"{marker}\n")
        await asyncio.sleep(payload.args.get("delay_ms", 0) / 1000)
        if payload.args.get("exit"):
            os._exit(3)
        return PluginResult(metadata={"marker": marker, "count": self._seen[marker]})


class Odd(Plugin):
    """Returns what a careful reader must be ready for; args.what picks it."""

    async def tool_pre_invoke(self, payload, context):
        what, size = payload.args["what"], int(payload.args.get("size", 0))
        if what == "nan":
            # Goes out as a number that JSON does not have.
            return PluginResult(metadata={"number": float("nan")})
        if what == "half":
            # The reply holds an error AND the half of a result that says "continue".
            return PluginResult(metadata={"bytes": b"not JSON"})
        if what == "deny_without_violation":
            return PluginResult(continue_processing=False)
        if what == "deep":
            # `size` objects in one another: more than about 30 is above what a request may have.
            value = 1
            for _ in range(size):
                value = {"k": value}
            return PluginResult(metadata=value)
        if what == "large":
            # Above 16 MiB the server drops the connection instead of replying.
            return PluginResult(metadata={"blob": "x" * size})
        return None
