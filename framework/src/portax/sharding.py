"""How arrays lie on several devices: meshes, specs, shardings."""

from portax.api.meshes import auto_axes, explicit_axes, make_mesh, make_single_device_sharding, reshard
from portax.core.partition import AbstractDevice, AbstractMesh, AxisType, ManualAxisType, PartitionSpec
from portax.runtime.meshes import Mesh, get_abstract_mesh, get_mesh, set_mesh, use_abstract_mesh
from portax.runtime.shardings import GSPMDSharding, NamedSharding, Shard, Sharding, SingleDeviceSharding

P = PartitionSpec

__all__ = [
    "AbstractDevice",
    "AbstractMesh",
    "AxisType",
    "GSPMDSharding",
    "ManualAxisType",
    "Mesh",
    "NamedSharding",
    "P",
    "PartitionSpec",
    "Shard",
    "Sharding",
    "SingleDeviceSharding",
    "auto_axes",
    "explicit_axes",
    "get_abstract_mesh",
    "get_mesh",
    "make_mesh",
    "make_single_device_sharding",
    "reshard",
    "set_mesh",
    "use_abstract_mesh",
]
