"""Schemas and values as they cross the wire between Terraform and a provider.

Input: the schemas in `schemas/*.json` (in the format of `terraform providers schema -json`) and msgpack bytes.
Output: protocol 6 messages, and plain Python values in which `UNKNOWN` means "known after apply".
Invariant: nothing here depends on a resource type.
"""

import json

import msgpack
from tf.gen import tfplugin_pb2 as pb


class _Unknown:
    def __repr__(self):
        return "UNKNOWN"


UNKNOWN = _Unknown()

# Field 11 of `Schema.Attribute`, `write_only`, is newer than the compiled messages; as an unknown field, its bytes are kept and sent.
_WRITE_ONLY = b"\x58\x01"

_NESTING = {"single": 1, "list": 2, "set": 3}


def schema_message(block: dict, rules: dict) -> pb.Schema:
    """The schema as Terraform expects it. `rules` lists the computed, sensitive and write-only attributes."""
    return pb.Schema(version=0, block=_block_message(block, rules))


def _block_message(block: dict, rules: dict) -> pb.Schema.Block:
    message = pb.Schema.Block()
    for name, attribute in block.get("attributes", {}).items():
        entry = pb.Schema.Attribute(
            name=name,
            type=json.dumps(attribute["type"]).encode(),
            required=attribute.get("required", False),
            optional=attribute.get("optional", False),
            computed=attribute.get("computed", False) or name in rules.get("computed", ()),
            sensitive=name in rules.get("sensitive", ()),
        )
        if name in rules.get("write_only", ()):
            entry.MergeFromString(_WRITE_ONLY)
        message.attributes.append(entry)
    for name, nested in block.get("block_types", {}).items():
        message.block_types.append(
            pb.Schema.NestedBlock(
                type_name=name,
                block=_block_message(nested["block"], {}),
                nesting=_NESTING[nested["nesting_mode"]],
                min_items=nested.get("min_items", 0),
                max_items=nested.get("max_items", 0),
            )
        )
    return message


def decode(value: pb.DynamicValue) -> dict | None:
    """A value from Terraform; None for null."""
    if not value.msgpack:
        return json.loads(value.json) if value.json else None
    return msgpack.unpackb(value.msgpack, ext_hook=lambda _code, _data: UNKNOWN, raw=False, strict_map_key=False)


def encode(value) -> pb.DynamicValue:
    """A value for Terraform."""
    return pb.DynamicValue(msgpack=msgpack.packb(value, default=_pack_unknown))


def _pack_unknown(value):
    if value is UNKNOWN:
        return msgpack.ExtType(0, b"\0")
    raise TypeError(f"no way to send {value!r}")


def complete(block: dict, value: dict | None) -> dict | None:
    """`value` with every attribute of the schema present and nothing else: null attributes, empty blocks."""
    if value is None:
        return None
    whole = {name: value.get(name) for name in block.get("attributes", {})}
    for name, nested in block.get("block_types", {}).items():
        if nested["nesting_mode"] == "single":
            whole[name] = complete(nested["block"], value.get(name))
        else:
            entries = value.get(name)
            whole[name] = entries if entries is UNKNOWN else [complete(nested["block"], entry) for entry in entries or []]
    return whole


def settle(known: dict, seen: dict) -> dict:
    """The new state: the values `seen` in AWS, written like those in `known` (the plan or the last state).

    An attribute that AWS does not return keeps its known value. A policy that is equal as JSON keeps its text, and an empty value
    stays null if null is known. A real difference results in the value that was seen, which is drift.
    """
    return {name: _settle_one(value, seen[name]) if name in seen else value for name, value in known.items()}


def _settle_one(known, seen):
    if known is UNKNOWN:
        return seen
    if known is None and seen in ("", [], {}, 0, False):
        return None
    if isinstance(known, str) and isinstance(seen, str) and known[:1] == "{" and _same_json(known, seen):
        return known
    if isinstance(known, list) and isinstance(seen, list) and known != seen and _sorted(known) == _sorted(seen):
        return known
    return seen


def _same_json(one: str, other: str) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


def _sorted(values: list) -> list:
    return sorted(values, key=repr)
