"""Probes a gRPC server as an orchestrator does: `probe.py HOST:PORT`.

One JSON value a line: what `Check` answers about each service, then what `Watch` tells, as it tells
it, and how the watch ends. Written with grpc's own package for that, and nothing of ours.
"""

import json
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

health = health_pb2_grpc.HealthStub(grpc.insecure_channel(sys.argv[1]))


def tell(value):
    print(json.dumps(value), flush=True)


def name(response):
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


def check(service):
    try:
        return name(health.Check(health_pb2.HealthCheckRequest(service=service), timeout=60))
    except grpc.RpcError as error:
        return error.code().name


tell({service: check(service) for service in ["", "cpex.PluginService", "nonsense"]})
watch = health.Watch(health_pb2.HealthCheckRequest(service=""), timeout=60)
try:
    for response in watch:
        tell(name(response))
    tell("ended: " + watch.code().name)
except grpc.RpcError as error:
    tell("ended: " + error.code().name)
