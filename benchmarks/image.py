"""The image that is measured: 15 core fields and 4 properties; and one like it with 40."""

from datetime import datetime
from typing import Any

IMAGE_ID = "03bc0a8b-659c-4de9-b6bd-13c6e86e6455"

PROPERTIES = {
    "architecture": "x86_64",
    "hw_disk_bus": "virtio",
    "kernel_id": "5d2c4f7e-6a7f-4a2b-9d3a-0d3b8f1a2c11",
    "os_distro": "débian",
}

MANY_ID = "5d2c4f7e-6a7f-4a2b-9d3a-0d3b8f1a2c11"
MANY_PROPERTIES = {f"property_{number:02}": "a value" for number in range(40)}

FIELDS: dict[str, Any] = {
    "id": IMAGE_ID,
    "name": "cirros-0.3.4-x86_64-uec-kernel",
    "status": "active",
    "size": 4_979_632,
    "virtual_size": None,
    "disk_format": "aki",
    "container_format": "aki",
    "min_disk": 0,
    "min_ram": 0,
    "checksum": "8a40c862b5735975d82605c1dd395796",
    "owner": "13cc6052265b41529e2fd0fc461fa8ef",
    "protected": False,
    "is_public": True,
    "deleted": False,
    "created_at": datetime(2016, 1, 6, 3, 22, 20),
    "updated_at": datetime(2016, 2, 25, 3, 2, 5),
    "deleted_at": None,
}
