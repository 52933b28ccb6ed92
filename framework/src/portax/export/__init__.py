"""Functions as files: a staged program written down with its opset, to be run later and elsewhere."""

from portax.export.exported import (
    DisabledSafetyCheck,
    Exported,
    default_export_platform,
    deserialize,
    export,
    maximum_supported_calling_convention_version,
    minimum_supported_calling_convention_version,
)
from portax.export.trees import register_namedtuple_serialization, register_pytree_node_serialization
