"""What differs between POSIX and Windows: locks, file modes, durable replacement. The only module with such calls."""

import contextlib
import os
import shlex
import socket
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PRIVATE_FILE = 0o600
PRIVATE_DIR = 0o700
_LOCKED_BYTE = 1 << 30  # Windows locks are mandatory: lock a byte far behind the process id, which others read

# Filesystems whose disk is another computer's, as Linux names them. Also those through which a virtual machine or a
# container reaches its host: their locks reach as far, and no further.
_NETWORK_FILESYSTEMS = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "coda", "ceph", "glusterfs", "lustre", "beegfs",
    "gpfs", "orangefs", "pvfs2", "davfs", "webdav", "vboxsf", "vmhgfs", "prl_fs",
    "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.gvfsd-fuse",
    "fuse.davfs2", "fuse.smbnetfs", "fuse.vmhgfs-fuse", "fuse.grpcfuse", "fuse.osxfs",
})  # fmt: skip
_DRIVE_REMOTE = 4  # GetDriveTypeW


def try_lock(descriptor: int) -> bool:
    """Take the exclusive lock of an open file without waiting; False when another opening of it holds the lock."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_private_dir(path: Path) -> None:
    """Make a directory (and parents) that only its owner can enter; an existing one keeps its mode."""
    path.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)


def restrict(path: Path) -> None:
    """Make a file readable by its owner only. Windows inherits the access list of the directory."""
    if sys.platform != "win32":
        path.chmod(PRIVATE_FILE)


def restrict_dir(path: Path) -> None:
    """Let only its owner enter a directory. Windows: nothing, as above."""
    if sys.platform != "win32":
        path.chmod(PRIVATE_DIR)


def readable_by_others(path: Path) -> bool:
    """True when group or others can read or write the file, or enter the directory (POSIX)."""
    return sys.platform != "win32" and bool(path.stat().st_mode & 0o077)


def mode_command(path: Path) -> str:
    """What to type so that a file, or a directory, is its owner's only."""
    return f"run: chmod {PRIVATE_DIR if path.is_dir() else PRIVATE_FILE:o} {shlex.quote(str(path))}"


def sync_file(path: Path) -> None:
    """Ask the disk to hold what the file holds."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_dir(path: Path) -> None:
    """Make a rename in this directory durable. Windows offers no such call and journals the rename itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_private(path: Path) -> int:
    """Open a new file, 0600 from its first moment. Raises FileExistsError."""
    binary = getattr(os, "O_BINARY", 0)  # Windows would rewrite line ends
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | binary, PRIVATE_FILE)


def replace_private(path: Path, content: bytes) -> None:
    """Write a 0600 file so that a crash leaves the old content or the new, never a half ."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = create_private(draft)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_dir(path.parent)


def network_filesystem(path: Path) -> str | None:
    """The kind of network filesystem `path` lies on, or None. Elsewhere than on Linux and Windows: None, not known."""
    if sys.platform == "win32":
        import ctypes

        anchor = str(path.absolute().anchor)
        remote = anchor.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(anchor) == _DRIVE_REMOTE
        return "smb" if remote else None
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    target = str(path.resolve())
    best, kind = "", None
    for fields in (line.split() for line in mounts if line.count(" ") >= 2):
        point = _unescaped(fields[1])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind if kind in _NETWORK_FILESYSTEMS else None


def _unescaped(point: str) -> str:
    """The mount table writes a blank as \\040, a tab, a line end and a backslash alike."""
    for octal in ("040", "011", "012", "134"):
        point = point.replace("\\" + octal, chr(int(octal, 8)))
    return point


def send_little_ahead(connection: socket.socket, count: int) -> None:
    """Let the system take at most `count` unsent bytes, so that we see a slow reader read. Where it knows how."""
    option: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, option, count)


def notify_supervisor(state: str) -> None:
    """Tell systemd how we are (`READY=1`, `STOPPING=1`), as sd_notify(3) does; silent where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if sys.platform == "win32" or not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
