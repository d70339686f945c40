"""Plugins that show what the wire carries, served by the reference server (see wire.yaml).

`Sees` tells what reaches a plugin, by Python's own words; `Says` answers with what
args.what names. docs/plugins.md is held to what they show.
"""

import datetime
import decimal
import enum
import pathlib
import uuid

from cpex.framework import Plugin, PluginViolation
from cpex.framework.errors import PluginViolationError
from cpex.framework.extensions.extensions import Extensions
from cpex.framework.hooks.resources import ResourcePreFetchPayload
from cpex.framework.models import PluginResult


def told(value):
    """What the value is, as text; dicts and lists keep their shape."""
    if type(value) is dict:
        return {key: told(item) for key, item in value.items()}
    if type(value) is list:
        return [told(item) for item in value]
    return f"{type(value).__name__} {value!r}"


class Sees(Plugin):
    """Allows, and tells in the result's metadata what it was given."""

    async def tool_pre_invoke(self, payload, context):
        shared = context.global_context
        return PluginResult(
            metadata={
                "args": told(payload.args),
                "headers": told(payload.headers),
                "user": told(shared.user),
                "user_context": told(shared.user_context),
                "content_type": told(shared.content_type),
            }
        )

    async def tool_post_invoke(self, payload, context):
        return PluginResult(metadata={"result": told(payload.result)})

    async def resource_post_fetch(self, payload, context, extensions):
        return PluginResult(metadata={"content": told(payload.content), "extensions": told(extensions)})


class Never(Sees):
    """The same, with conditions that no request of the tests meets."""


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 2


class Word(str, enum.Enum):
    YES = "yes"


VALUES = {
    "integer": 3,
    "integers within": {"list": [1, {"deep": 2}], "negative": -7},
    "big integer": 2**53 + 1,
    "tuple": (1, (2, "x")),
    "integer enum": Level.HIGH,
    "text enum": Word.YES,
    "nan": float("nan"),
    "infinity": float("-inf"),
    "datetime": datetime.datetime(2026, 1, 2, 3, 4),
    "date": datetime.date(2026, 1, 2),
    "bytes": b"bytes",
    "decimal": decimal.Decimal("1.5"),
    "enum": Color.RED,
    "set": {1},
    "frozenset": frozenset({1}),
    "uuid": uuid.UUID(int=1),
    "path": pathlib.PurePosixPath("/tmp"),
    "object": object(),
    "integer key": {1: "x"},
    "huge integer": 10**400,
}


class Says(Plugin):
    """Answers as args.what says: with one of VALUES, placed where args.where says, or one of the below."""

    async def tool_pre_invoke(self, payload, context):
        what = payload.args["what"]
        if what in VALUES:
            return self._placed(VALUES[what], payload, context)
        return getattr(self, "_" + what)(payload, context)

    def _placed(self, value, payload, context):
        where = payload.args.get("where", "payload")
        if where == "payload":
            return PluginResult(modified_payload=payload.model_copy(update={"args": {"v": value}}))
        if where == "violation":
            violation = PluginViolation(reason="r", description="d", code="C", details={"v": value})
            return PluginResult(continue_processing=False, violation=violation)
        if where == "metadata":
            return PluginResult(metadata={"v": value})
        context.state["ran"] = True
        {
            "context state": context.state,
            "context metadata": context.metadata,
            "global state": context.global_context.state,
        }[where]["v"] = value
        return PluginResult()

    def _denial(self, payload, context):
        return PluginResult(
            continue_processing=False,
            modified_payload=payload,
            violation=PluginViolation(reason="r", description="d", code="C"),
            metadata={"seen": True},
            http_headers={"X-Told": "yes"},
            denial_metadata={"hits": 3},
            retry_delay_ms=250,
        )

    def _exception_of_denial(self, payload, context):
        violation = PluginViolation(reason="r", description="d", code="C", mcp_error_code=-32001)
        raise PluginViolationError("blocked", violation=violation)

    def _nothing(self, payload, context):
        return None

    def _dict(self, payload, context):
        return {"continue_processing": False}

    def _truth(self, payload, context):
        return True

    def _payload(self, payload, context):
        return payload

    def _payload_of_another_hook(self, payload, context):
        return PluginResult(modified_payload=ResourcePreFetchPayload(uri="file:///motd"))

    def _fields_of_another_type(self, payload, context):
        return PluginResult(modified_payload=payload.model_copy(update={"name": None, "args": [1]}))

    def _extensions(self, payload, context):
        return PluginResult(modified_extensions=Extensions(custom={"told": True}))

    def _global_metadata(self, payload, context):
        context.global_context.metadata["told"] = True
        return PluginResult()
