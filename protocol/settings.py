"""What is wrong with a setting, for a person: which one, and what is wanted there.

A configuration is a msgspec Struct.  Its types say what is wanted: bounds and choices by
themselves, a pattern by the `description` of its `Meta`, for nobody should have to read a pattern.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import inspect

_NAMED = re.compile(r"(unknown|required) field `([^`]*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class SettingFault:
    """field: as it is written in the file, tables before it; why: goes on after its name"""

    field: str
    why: str


def setting_fault(
    error: msgspec.ValidationError, kind: type, *, noun: str = "a setting"
) -> SettingFault:
    """Return what a failed conversion to `kind` means; noun: what an unknown field is not."""
    reason, _, place = str(error).partition(" - at ")
    path = place.strip("`").removeprefix("$")
    named = _NAMED.search(reason)
    if named is not None:
        field = f"{path}.{named.group(2)}".removeprefix(".")
        return SettingFault(field, f"is not {noun}" if named[1] == "unknown" else "is missing")
    found = inspect.type_info(kind)
    for step in _STEP.finditer(path):
        found = _inside(found, step.group(1))
    wanted = _wanted(found)
    why = f"must be {wanted}" if wanted else f"is not what is wanted ({reason})"
    return SettingFault(path.removeprefix("."), why)


def _inside(kind: inspect.Type, name: str | None) -> inspect.Type:
    """Return the type one step further down; name: of a field, None for an item of a list."""
    kind, _ = _bare(kind)
    if isinstance(kind, inspect.StructType) and name is not None:
        fields = {field.encode_name: field.type for field in kind.fields}
        return fields.get(name, inspect.AnyType())
    if isinstance(kind, (inspect.VarTupleType, inspect.ListType)):
        return kind.item_type
    if isinstance(kind, inspect.DictType):
        return kind.value_type
    return inspect.AnyType()


def _bare(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """Return a type without what is said about it and without None, and its description."""
    description = ""
    while True:
        if isinstance(kind, inspect.Metadata):
            description = description or str((kind.extra_json_schema or {}).get("description", ""))
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
        else:
            return kind, description


def _wanted(kind: inspect.Type) -> str:
    bare, description = _bare(kind)
    match bare:
        case _ if description:
            return description
        case inspect.StrType():
            return "text in quotes" + _between(bare.min_length, bare.max_length, "characters")
        case inspect.IntType():
            return "a whole number" + _between(bare.ge, bare.le, "")
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType():
            return _either([f'"{value}"' for value in bare.values])
        case inspect.VarTupleType():
            most = "" if bare.max_length is None else f" with at most {bare.max_length} items"
            return f"a list in [ ]{most}, each {_wanted(bare.item_type)}"
        case inspect.StructType():
            return "a table"
    return ""


def _between(least: int | None, most: int | None, unit: str) -> str:
    if most is None:
        words = "" if least in (None, 0) else f"at least {least}"
    elif least in (None, 0) and unit:
        words = f"at most {most}"
    else:
        words = f"{least or 0} to {most}"
    if not words:
        return ""
    return f", {words} {unit}" if unit else f", {words}"


def _either(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"
