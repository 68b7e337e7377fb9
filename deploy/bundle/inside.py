"""`inside.py ROOT USER HOME SCRIPT`: in new namespaces, shuts itself into ROOT as USER and runs SCRIPT. Only Python."""

import os
import socket
import struct
import subprocess
import sys

assert sys.platform != "win32"
import fcntl  # noqa: E402 - not there on Windows

SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def main(root: str, user: str, home: str, script: str) -> None:
    """Loopback up (a new network has it down), processes of this room only, no privilege left; then the script."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
    subprocess.run(["mount", "-t", "proc", "proc", f"{root}/proc"], check=True)
    os.chroot(root)
    os.chdir(home)
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
    os.umask(0o022)
    room = {"HOME": home, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "RACCORDO_LANG": "it"}
    os.execve("/bin/sh", ["sh", "-euc", script], room)  # noqa: S606 - the script is ours


if __name__ == "__main__":
    main(*sys.argv[1:])
