"""Where a SQLite file in WAL mode cannot live."""

from __future__ import annotations

import re
from pathlib import Path

# SQLite's WAL needs memory that all writers share: no network, no border of a virtual machine.
_NETWORK = set(
    """
    afs afpfs beegfs ceph cifs coda davfs fakeowner fuse.davfs2 fuse.glusterfs fuse.grpcfuse fuse.rclone
    fuse.s3fs fuse.sshfs fuse.vmhgfs-fuse glusterfs gpfs lustre ncpfs nfs nfs4 orangefs pnfs prl_fs smb2 smb3
    smbfs vboxsf vmhgfs webdav
    """.split()  # noqa: SIM905 (thirty words, one a line otherwise)
)
_ESCAPE = re.compile(rb"\\([0-7]{3})")


def network_file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The name of the network file system that holds `path`, such as "nfs4"; None for a local one.

    Unknown systems, and machines without `mounts`, count as local.
    """
    try:
        table = mounts.read_bytes()
        target = path.resolve()
    except OSError:
        return None
    best, kind = -1, ""
    for line in table.splitlines():
        fields = line.split(b" ")
        if len(fields) < 3:
            continue
        place = Path(_ESCAPE.sub(lambda code: bytes([int(code[1], 8)]), fields[1]).decode(errors="replace"))
        # A later mount at the same place hides the earlier one.
        if len(place.parts) >= best and (place == target or place in target.parents):
            best, kind = len(place.parts), fields[2].decode(errors="replace")
    return kind if kind in _NETWORK else None
