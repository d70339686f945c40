"""Calls a gRPC server with grpcio alone: `grpc_statuses.py HOST:PORT`, one JSON object out.

For each case the code and details that grpcio reads, or the number in the first reply.
"""

import json
import sys

import grpc
from cpex.framework.external.grpc.proto import plugin_service_pb2 as messages

INVOKE = "/cpex.PluginService/InvokeHook"
LIMIT = 4 * 1024 * 1024
channel = grpc.insecure_channel(sys.argv[1])


def asked(call):
    """What a call ends in: its first reply's status number, or its error."""
    try:
        return [messages.HealthCheckResponse.FromString(call()).status]
    except grpc.RpcError as error:
        # grpcio has its own words for a deadline, which it may notice before the server.
        late = error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        return [error.code().name] if late else [error.code().name, error.details()]


def unary(path, message, **options):
    return asked(lambda: channel.unary_unary(path)(message, **{"timeout": 60, **options}))


def health(service):
    return messages.HealthCheckRequest(service=service).SerializeToString()


slow = messages.InvokeHookRequest(hook_type="tool_pre_invoke", plugin_name="Counter")
slow.payload.update({"name": "tool", "args": {"marker": "slow", "delay_ms": 30_000}})

watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
print(
    json.dumps(
        {
            "unknown method": unary("/cpex.PluginService/Nope", b""),
            "no request": unary(INVOKE, b"\xff"),
            "too large": unary(INVOKE, b"\xff" * (LIMIT + 1)),
            "just not too large": unary(INVOKE, b"\xff" * LIMIT),
            "compressed": unary(INVOKE, b"x" * 1000, compression=grpc.Compression.Gzip),
            "too slow": unary(INVOKE, slow.SerializeToString(), timeout=0.3),
            "cpex.Health": unary("/cpex.Health/Check", health("nonsense")),
            "grpc.health.v1": unary("/grpc.health.v1.Health/Check", health("")),
            "no such service": unary("/grpc.health.v1.Health/Check", health("nonsense")),
            "watched": asked(lambda: next(watch(health(""), timeout=60))),
        }
    )
)
