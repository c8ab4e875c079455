"""KVM, QEMU, libvirt, udev, folders: what it means that they are as seen. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pizarra.engine.fitness.facts import FolderSeen, HostSeen, Trouble
from pizarra.engine.fitness.findings import Finding, Fix, Level, finding, good, to_install, to_run
from pizarra.model.sentence import N_
from pizarra.model.sizes import GIB, size_text
from pizarra.system.kvm import KvmVerdict

LIBVIRT_LEAST = (8, 0)  # Ubuntu 22.04's, the oldest that we know to work
FOLDER_LITTLE_BYTES, FOLDER_LEAST_BYTES = 10 * GIB, GIB
_FOR_IDENTITIES = {
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "openssl": "openssl",
    "debugfs": "e2fsprogs",
    "sfdisk": "fdisk",
    "ssh-keygen": "openssh-client",
}
_MODULES = {"vmx": "kvm_intel", "svm": "kvm_amd"}


def judge_machine(seen: HostSeen) -> Iterator[Finding]:
    """In the order in which one would set a host up."""
    yield _kvm(seen)
    yield from _qemu(seen)
    yield from _tools(seen)
    yield _libvirt(seen)
    yield from _autostart(seen)
    if not seen.machine.uefi:
        text = N_("There is no UEFI firmware: only BIOS guests can be started.")
        yield to_install(Level.ADVICE, "uefi", text, "ovmf")
    if not seen.machine.kernel_files:
        text = N_("There is no kernel in /boot with its modules: inspect --copy reads no disk.")
        yield to_install(Level.ADVICE, "inspect", text, "linux-image-amd64")
    yield from _identities(seen)
    yield _udev(seen)
    yield from _permissions(seen)
    yield _folder(seen)


def _kvm(seen: HostSeen) -> Finding:
    probe = seen.kvm
    if probe.works:
        return good("kvm", N_("A guest ran under KVM."))
    if probe.verdict is KvmVerdict.NO_QEMU:
        return finding(Level.WARNING, "kvm", N_("KVM could not be tried: QEMU is missing."))
    if probe.verdict is KvmVerdict.NO_DEVICE:
        return _kvm_absent(seen)
    text = N_(
        "No guest can run under KVM: {detail}. Machines run in software emulation and will be slow."
        " If this host is a virtual machine itself, let its own host allow nested virtualisation."
    )
    return finding(Level.WARNING, "kvm", text, detail=probe.detail)


def _kvm_absent(seen: HostSeen) -> Finding:
    module = _MODULES.get(seen.machine.cpu_flag, "")
    if module in seen.kernel.loadable:
        text = N_("KVM is not loaded. Machines run in software emulation and will be slow.")
        return to_run(Level.WARNING, "kvm", text, ("modprobe", module))
    text = N_(
        "There is no /dev/kvm. Machines run in software emulation and will be slow. Switch"
        " virtualisation on in the firmware set-up (BIOS), or in the host of this machine if it is"
        " virtual itself."
    )
    return finding(Level.WARNING, "kvm", text)


def _qemu(seen: HostSeen) -> Iterator[Finding]:
    needed = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"}
    missing = [name for name in needed if name not in seen.machine.commands]
    if missing:
        packages = [needed[name] for name in missing]
        text = N_("QEMU is not complete. Missing: {missing}.")
        yield to_install(Level.UNFIT, "qemu", text, *packages, missing=", ".join(missing))
    else:
        yield good("qemu", N_("QEMU is installed."))


def _tools(seen: HostSeen) -> Iterator[Finding]:
    """Tools that are installed and were tried."""
    if broken := seen.machine.broken:
        said = "; ".join(f"{name}: {complaint}" for name, complaint in sorted(broken.items()))
        text = N_("These tools are installed and do not work as Pizarra calls them: {said}.")
        yield finding(Level.UNFIT, "tools", text, said=said)
    else:
        versions = ", ".join(f"{name} {one}".strip() for name, one in seen.machine.versions.items())
        yield good("tools", N_("The tools that are installed run: {versions}."), versions=versions)


def _identities(seen: HostSeen) -> Iterator[Finding]:
    missing = [name for name in _FOR_IDENTITIES if name not in seen.machine.commands]
    if missing:
        packages = [_FOR_IDENTITIES[name] for name in missing]
        text = N_("Machines can be given no identities (classroom identify). Missing: {missing}.")
        names = ", ".join(missing)
        yield to_install(Level.ADVICE, "identities", text, *packages, missing=names)


def _libvirt(seen: HostSeen) -> Finding:
    if isinstance(seen.libvirt, Trouble):
        return _libvirt_silent(seen, seen.libvirt)
    version = ".".join(map(str, seen.libvirt))
    if seen.libvirt < LIBVIRT_LEAST:
        text = N_("libvirt {version} is older than any that was tried ({least}).")
        least = ".".join(map(str, LIBVIRT_LEAST))
        return finding(Level.WARNING, "libvirt", text, version=version, least=least)
    text = N_("libvirt {version} answers at {uri}.")
    return good("libvirt", text, version=version, uri=seen.libvirt_uri)


def _libvirt_silent(seen: HostSeen, trouble: Trouble) -> Finding:
    commands, level, check = seen.machine.commands, Level.UNFIT, "libvirt"
    if not commands & {"libvirtd", "virtqemud"}:
        text = N_("libvirt is not installed.")
        return to_install(level, check, text, "libvirt-daemon-system", "libvirt-clients")
    monolithic = "libvirtd" in commands
    if not seen.machine.systemd:
        mend = "libvirtd -d" if monolithic else "virtqemud -d && virtnetworkd -d"
        return finding(level, check, trouble.text, mend, **trouble.facts)
    units = ("libvirtd",) if monolithic else ("virtqemud.socket", "virtnetworkd.socket")
    if "limit" in trouble.facts or seen.libvirt_uri != "qemu:///system":
        mend = " ".join(("systemctl", "restart", *units))  # it hangs, or it is another's
        return finding(level, check, trouble.text, mend, **trouble.facts)
    start = ("systemctl", "enable", "--now", *units)
    return to_run(level, check, trouble.text, start, **trouble.facts)


def _autostart(seen: HostSeen) -> Iterator[Finding]:
    """What libvirt starts by itself runs before ``pizarra recover`` has put its disks right."""
    if names := seen.autostarting:
        text = N_(
            "libvirt starts {names} by itself when the host boots, before pizarra recover has"
            " looked at them. The policy after_boot of a classroom starts them after that."
        )
        off = ("virsh", "-c", seen.libvirt_uri, "autostart", "--disable")
        fix = Fix(commands=tuple((*off, name) for name in names))
        mend = " ".join((*off, names[0])) if len(names) == 1 else "pizarra host check --fix"
        told = ", ".join(names)
        yield finding(Level.WARNING, "autostart", text, mend, fix, names=told)


def _udev(seen: HostSeen) -> Finding:
    if seen.machine.udev:
        return good("udev", N_("udev answers."))
    text = N_("udev does not run: LVM does its work, and new disks may appear late.")
    if not seen.machine.systemd:
        return finding(Level.WARNING, "udev", text, "/lib/systemd/systemd-udevd --daemon")
    start = ("systemctl", "start", "systemd-udevd")
    return to_run(Level.WARNING, "udev", text, start)


def _permissions(seen: HostSeen) -> Iterator[Finding]:
    if those := seen.machine.not_writable:
        text = N_("Nothing can be written here: {those}. Resets would be refused.")
        told = ", ".join(f"{path} ({why})" for path, why in those.items())
        mend = f"df -h {' '.join(those)}; df -i {' '.join(those)}; findmnt -T {next(iter(those))}"
        yield finding(Level.UNFIT, "permissions", text, mend, those=told)
    else:
        yield good("permissions", N_("root can write where it must."))
    if closed := seen.machine.closed:
        text = N_("The user that QEMU runs as cannot enter {those}: seats on files cannot start.")
        level = Level.WARNING if seen.groups else Level.UNFIT
        yield finding(
            level, "qemu-access", text, f"chmod o+x {' '.join(closed)}", those=", ".join(closed)
        )
    else:
        yield good("qemu-access", N_("The user that QEMU runs as can enter the folder of disks."))


def _folder(seen: HostSeen) -> Finding:
    folder = seen.folder
    if isinstance(folder, Trouble):
        level = Level.WARNING if seen.groups else Level.UNFIT
        return finding(level, "folder", folder.text, **folder.facts)
    facts = _folder_facts(folder)
    text = N_("{path} has {free} free of {size}, for qcow2 disks.")
    little = N_("{path} has {free} free of {size}, for qcow2 disks. That is little.")
    enough = FOLDER_LEAST_BYTES if seen.groups else FOLDER_LITTLE_BYTES  # else disks are on LVM
    if folder.free_bytes >= enough:
        return good("folder", text, **facts)
    if seen.groups:
        return finding(Level.ADVICE, "folder", text, **facts)
    level = Level.WARNING if folder.free_bytes >= FOLDER_LEAST_BYTES else Level.UNFIT
    return finding(level, "folder", little, **facts)


def _folder_facts(folder: FolderSeen) -> dict[str, object]:
    free, size = size_text(folder.free_bytes), size_text(folder.size_bytes)
    return {"path": folder.path, "free": free, "size": size}
