"""The initramfs: busybox, and the modules that are needed to reach the real root over 9p."""

import hashlib
import lzma
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.kernel import Kernel
from lab.places import CACHE, GUEST, LabError

FIRST_MODULES = (
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "overlay",
    "virtio_blk",
    "crc32c_generic",
    "ext4",
    "virtio_console",
)


def get_initramfs(kernel: Kernel) -> Path:
    """The initramfs for `kernel`. It is made again only if the kernel or the init changed."""
    init = GUEST / "init"
    stamp = hashlib.sha256(f"{kernel.release} {FIRST_MODULES} {init.read_text()} plain".encode())
    target = CACHE / f"initramfs-{stamp.hexdigest()[:16]}"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="initramfs-") as scratch:
            made = Path(scratch) / "made"
            made.write_bytes(_cpio(_tree(kernel, init, Path(scratch) / "root")))
            made.rename(target)
    return target


def _tree(kernel: Kernel, init: Path, root: Path) -> Path:
    for folder in ("bin", "dev", "proc", "sys", "modules", "lower", "near", "upper", "root"):
        (root / folder).mkdir(parents=True)
    shutil.copy2("/bin/busybox", root / "bin/busybox")
    shutil.copy2(init, root / "init")
    (root / "init").chmod(0o755)
    order = []
    for path in module_closure(kernel, FIRST_MODULES):
        name = f"{module_name(path)}.ko"
        (root / "modules" / name).write_bytes(_read_module(kernel.modules / path))
        order.append(name)
    (root / "modules/order").write_text("\n".join(order) + "\n")
    return root


def module_closure(kernel: Kernel, names: tuple[str, ...]) -> list[Path]:
    """Paths of the modules and all they need, in the order to insert them.

    Those that are built into the kernel need no insertion: modules.builtin names them. Raises
    LabError for a name that the kernel has in neither way.
    """
    depends: dict[str, tuple[Path, list[Path]]] = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        module, _, needs = line.partition(":")
        depends[module_name(Path(module))] = (Path(module), [Path(need) for need in needs.split()])
    builtin = {
        module_name(Path(line))
        for line in (kernel.modules / "modules.builtin").read_text().splitlines()
    }
    order: list[Path] = []
    for name in names:
        if name in builtin:
            continue
        if name not in depends:
            raise LabError(f"kernel {kernel.release} has no module {name}")
        path, needs_of = depends[name]
        # modules.dep lists the deepest dependency last
        order += [p for p in [*reversed(needs_of), path] if p not in order]
    return order


def module_name(path: Path) -> str:
    """As modprobe(8) knows it, of a file that may be compressed: `crc32c-generic.ko.xz`."""
    return path.name.partition(".")[0].replace("-", "_")


def _read_module(path: Path) -> bytes:
    """Not compressed: busybox inserts no other."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _cpio(root: Path) -> bytes:
    names = sorted(str(p.relative_to(root)) for p in root.rglob("*"))
    argv = ["busybox", "cpio", "-o", "-H", "newc"]
    listing = os.fsencode("\n".join(names) + "\n")
    return subprocess.run(argv, cwd=root, input=listing, capture_output=True, check=True).stdout
