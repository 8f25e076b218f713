"""What the example shows: images, firmware, and callers' tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_imagemeta import Identity

DEMO = "13cc6052265b41529e2fd0fc461fa8ef"  # the project of the documented example
OTHER = "5f1c7a9e0c5d4f0b8a7e3d2c1b0a9f8e"

TOKENS = {
    "demo-admin": Identity("c0ffee00c0ffee00c0ffee00c0ffee00", ["admin"]),
    "demo-member": Identity(DEMO, ["member"]),
    "demo-other": Identity(OTHER, ["member"]),
}

# The operation's documented example, which README.md requests first.
EXAMPLE_ID = "03bc0a8b-659c-4de9-b6bd-13c6e86e6455"

IMAGES: list[dict[str, Any]] = [
    {
        "id": EXAMPLE_ID,
        "name": "cirros-0.3.4-x86_64-uec-kernel",
        "status": "deactivated",
        "size": 4979632,
        "disk_format": "aki",
        "container_format": "aki",
        "checksum": "8a40c862b5735975d82605c1dd395796",
        "owner": DEMO,
        "is_public": True,
        "created_at": datetime(2016, 1, 6, 3, 22, 20),
        "updated_at": datetime(2016, 2, 25, 3, 2, 5),
    },
    {
        "id": "1f9e3c52-7a5f-4c4e-9a53-6a0e5a2f1b01",
        "name": "Debian 12 generic amd64",
        "status": "active",
        "size": 347930624,
        "virtual_size": 3221225472,
        "disk_format": "qcow2",
        "container_format": "bare",
        "min_disk": 3,
        "min_ram": 512,
        "checksum": "b6a3f8c1d94e27a05b1c6e2f8d7a9034",
        "owner": DEMO,
        "is_public": True,
        "protected": True,
        "properties": {
            "architecture": "x86_64",
            "hw_disk_bus": "virtio",
            "os_distro": "debian",
            "os_version": "12",
        },
    },
    {
        "id": "2b7d1e84-0c6b-4f7a-8f8e-0d4c9b3a7e02",
        "name": "Ubuntu 24.04 (noble) — Größe geprüft ✓",
        "status": "active",
        "size": 625868800,
        "virtual_size": 3758096384,
        "disk_format": "qcow2",
        "container_format": "bare",
        "min_disk": 4,
        "checksum": "0e7c5a1f3b9d48e6a2c4f0b8d6e17395",
        "owner": DEMO,
        "is_public": True,
        "properties": {"os_distro": "ubuntu", "os_version": "24.04", "libosinfo id": "ubuntu24.04"},
    },
    {
        "id": "3c8e2f95-1d7c-4a8b-9a9f-1e5dac4b8f03",
        "name": "payroll appliance",
        "status": "active",
        "size": 2147483648,
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": 2,
        "min_ram": 2048,
        "checksum": "5d41402abc4b2a76b9719d911017c592",
        "owner": DEMO,
        "visibility": "private",
    },
    {
        "id": "4d9f30a6-2e8d-4b9c-aab0-2f6ebd5c9a04",
        "name": "build agent, shared with one project",
        "status": "active",
        "size": 1288490188,
        "disk_format": "vmdk",
        "container_format": "bare",
        "min_disk": 20,
        "checksum": "7d793037a0760186574b0282f2f435e7",
        "owner": DEMO,
        "visibility": "shared",
        "members": [OTHER],
        "properties": {"vmware_disktype": "streamOptimized"},
    },
    {
        "id": "5ea041b7-3f9e-4cad-bbc1-307fce6dab05",
        "name": "nightly, not uploaded yet",
        "status": "queued",
        "owner": OTHER,
        "visibility": "private",
    },
    {
        "id": "6fb152c8-40af-4dbe-8cd2-4180df7ebc06",
        "name": "uploading now",
        "status": "saving",
        "size": 734003200,
        "disk_format": "iso",
        "container_format": "bare",
        "owner": OTHER,
        "visibility": "community",
    },
    {
        "id": "70c263d9-51b0-4ecf-9de3-5291e08fcd07",
        "name": "retired image",
        "status": "deleted",
        "size": 16300544,
        "disk_format": "qcow2",
        "container_format": "bare",
        "checksum": "f8ab98ff5e73ebab884d80c9dc9c7290",
        "owner": DEMO,
        "is_public": True,
        "deleted": True,
        "deleted_at": datetime(2024, 5, 17, 8, 30, 0, 250000),
        "properties": {"os_distro": "cirros"},
    },
    {
        "id": "81d374ea-62c1-4fd0-aef4-63a2f190de08",
        "name": "AMI machine image",
        "status": "active",
        "size": 25165824,
        "disk_format": "ami",
        "container_format": "ami",
        "checksum": "9e107d9d372bb6826bd81d3542a419d6",
        "owner": OTHER,
        "is_public": True,
        "properties": {
            "kernel_id": EXAMPLE_ID,
            "ramdisk_id": "92e485fb-73d2-40e1-bf05-74b302a1ef09",
        },
    },
    {
        "id": "92e485fb-73d2-40e1-bf05-74b302a1ef09",
        "name": "initial ramdisk",
        "status": "active",
        "size": 3740163,
        "disk_format": "ari",
        "container_format": "ari",
        "checksum": "be575a2b939972276ef675752936977f",
        "is_public": True,
    },
]

FIRMWARE: dict[str, dict[str, Any]] = {
    "router-r2": {
        "id": "router-r2",
        "name": "Router R2",
        "status": "active",
        "size": 15728640,
        "is_public": True,
        "checksum": "c4ca4238a0b923820dcc509a6f75849b",
        "release": "2.4.1",
        "properties": {"board": "r2-rev3", "bootloader": "u-boot 2025.01"},
    },
    "switch-s8": {
        "id": "switch-s8",
        "name": "Switch S8",
        "status": "queued",
        "is_public": True,
        "release": "0.9-rc2",
    },
}
