"""Prints, a line each, what the installed packages look like from outside: the messages of the protocol, the hooks
with their payloads, the models and their defaults, and the hooks and settings of published plugins.

Runs in the environment that is looked at.
"""

import enum
import importlib.metadata
import pkgutil
import re
import sys

import cpex.framework
import cpex.framework.hooks
import pydantic
import yaml
from cpex.framework.external.grpc.proto import plugin_service_pb2


def messages():
    for message in plugin_service_pb2.DESCRIPTOR.message_types_by_name.values():
        for field in message.fields:
            of = field.message_type.full_name if field.message_type else f"type {field.type}"
            many = "repeated " if field.is_repeated else ""
            yield f"message {message.name}: {field.number} {field.name}: {many}{of}"
    for service in plugin_service_pb2.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            yield f"service {service.name}: {method.name}({method.input_type.name}) {method.output_type.name}"


def hooks():
    registry = cpex.framework.get_hook_registry()
    for hook in registry.get_registered_hooks():
        payload, result = registry.get_payload_type(hook), registry.get_result_type(hook)
        yield f"hook {getattr(hook, 'value', hook)}: {payload.__name__} {result.__name__}"


def models():
    names = [module for module in sys.modules if module.startswith("cpex.framework")]
    for module in sorted(names):
        for value in vars(sys.modules[module]).values():
            if not isinstance(value, type) or value.__module__ != module:
                continue
            if issubclass(value, enum.Enum):
                yield from (f"enum {value.__name__}: {member.value}" for member in value)
            elif issubclass(value, pydantic.BaseModel) and "[" not in value.__name__:
                yield from fields(value)


def fields(model):
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else "made" if field.default_factory else repr(field.default)
        kind = re.sub(r" at 0x[0-9a-f]+", "", repr(field.annotation))
        yield f"model {model.__name__}: {field.alias or name}: {kind} = {default}"


def plugins():
    for package in importlib.metadata.distributions():
        for file in package.files or ():
            if file.name == "plugin-manifest.yaml" and len(file.parts) == 2:
                manifest = yaml.safe_load(file.read_text())
                name = package.metadata["Name"]
                yield from (f"plugin {name}: hook {hook}" for hook in manifest.get("available_hooks", ()))
                settings = manifest.get("default_configs") or {}
                yield from (f"plugin {name}: setting {key} = {value!r}" for key, value in settings.items())


for module in pkgutil.iter_modules(cpex.framework.hooks.__path__):
    importlib.import_module(f"cpex.framework.hooks.{module.name}")
for line in sorted({*messages(), *hooks(), *models(), *plugins()}):
    print(line)
