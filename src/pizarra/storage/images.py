"""Disk images as they come from elsewhere: what they are, copied and compared with ``qemu-img``.

An image from elsewhere is hostile: a qcow2 or VMDK may name another file of the host as its
content, and may be rewritten while we work. So Pizarra tells the format from the first bytes, never
by QEMU's probing, and a child that can open no file reads the image (``image_reader``): qemu-img
gets a raw disk of it. The paths of what we write are absolute, so that none is taken for a protocol
(``nbd:``, ``json:``) or for an option.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ValidationError

from pizarra.errors import BadInput, StorageFault
from pizarra.model.sentence import N_, Sentence
from pizarra.model.sizes import GIB
from pizarra.storage.image_checks import (
    AGAIN,
    SECTOR_BYTES,
    START_BYTES,
    Fault,
    check_fault,
    cut_off_fault,
    length_fault,
    signature_fault,
    vhdx_end,
)
from pizarra.storage.image_reader import (
    OpenImage,
    UnreadableImage,
    check_image,
    reading_image,
)
from pizarra.storage.qcow2.header import MAGIC, CutOff, needed_bytes, open_file, parse_header
from pizarra.storage.qcow2.report import backing_files
from pizarra.system import devmapper
from pizarra.system.file_copies import sync
from pizarra.system.jail import limit
from pizarra.system.process import piping, run

FORMATS = ("qcow2", "raw", "vmdk", "vdi", "vhdx", "vpc")
_PROGRESS = re.compile(r"\(\s*([0-9.]+)/100%\)")
_COPY_LIMIT_S = 24 * 3600
_CHECK_STATUS = (0, 2, 3)  # of qemu-img check: no errors, corruptions, leaks; it has reported
_MAY_COMPRESS = ("qcow2", "vmdk")
_HAVE_TABLES = ("qcow2", "vmdk", "vdi", "vhdx")
_CONVERT_HINT = N_(
    "If you trust it, make one file of it first: qemu-img convert -O qcow2 {path} NEW"
)


class _Measured(BaseModel):
    """What we read of ``qemu-img measure``: the bytes of a qcow2 with the content."""

    required: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """An image that may be imported."""

    path: Path
    format: str
    virtual_size_bytes: int
    content_bytes: int  # that are no zeros, unpacked: what a copy of it writes, at most
    backing: str = ""  # always so: what has one is refused
    stamp: tuple[int, ...] = field(default=(), compare=False)  # of the file, when it was looked at


def image_info(path: Path, form: str = "") -> ImageInfo:
    """What an image is. Its first bytes tell, or else ``form``: what its machine reads it as.

    A disk that a machine reads as raw may hold whatever a guest wrote, also the header of another
    format. Raises BadInput for what is no image, or one that refers to other files.
    """
    path = absolute(path)
    try:
        with open_file(path) as file:
            form = _check_raw(path, file) if form == "raw" else _found_format(path, form, file)
            seen = os.fstat(file.fileno())
    except OSError as error:
        raise BadInput("Cannot read {path}: {cause}.", path=path, cause=error.strerror) from None
    except ValueError as error:
        again = AGAIN if isinstance(error, CutOff) else ""
        raise _refuse(path, str(error), again) from None
    with _reading(path, form) as image:
        _check_tables(path, form, image)
        return ImageInfo(
            path=path,
            format=form,
            virtual_size_bytes=image.size_bytes,
            content_bytes=min(image.size_bytes, _content_bytes(path, form, image, seen)),
            stamp=image.stamp,
        )


def _content_bytes(path: Path, form: str, image: OpenImage, seen: os.stat_result) -> int:
    """A compressed file holds far more than it is long. Raises BadInput."""
    if form not in _MAY_COMPRESS:  # only a file can be sparse
        return seen.st_blocks * 512 if stat.S_ISREG(seen.st_mode) else image.size_bytes
    argv = ["qemu-img", "measure", "--output=json", "-O", "qcow2", "-f", "raw", image.url]
    done = run(limit(argv), check=False, timeout_s=_COPY_LIMIT_S)
    try:
        return _Measured.model_validate_json(done.stdout).required
    except ValidationError:
        why = Sentence("qemu-img measure cannot read it: {said}", said=_words(done.stderr))
        raise _refuse(path, why, AGAIN) from None


@contextmanager
def _reading(path: Path, form: str) -> Iterator[OpenImage]:
    """Have a child read an image of others, one that is whole in itself. Raises BadInput."""
    with ExitStack() as stack:
        try:
            image = stack.enter_context(reading_image(path, form))
        except OSError as error:
            why = error.strerror
            raise BadInput("Cannot read {path}: {cause}.", path=path, cause=why) from None
        except (UnreadableImage, ValueError) as error:
            words = _words(str(error))
            hint = N_("A machine uses it: shut that down first.") if "lock" in words else ""
            raise _refuse(path, words, hint) from None
        if image.backing:
            raise _refuse(path, N_("it stands on another image"), _CONVERT_HINT)
        if image.encrypted:
            raise _refuse(path, N_("it is encrypted"))
        if image.size_bytes <= 0:
            raise _refuse(path, N_("it is empty"))
        yield image


def absolute(path: Path) -> Path:
    """So that nothing in it can be a protocol or an option. Raises BadInput."""
    if "\0" in str(path):
        raise BadInput("A path has no zero byte.")
    return path.absolute()


def _refuse(path: Path, why: str, hint: str = "", **facts: object) -> BadInput:
    known = N_("Images of these formats can be imported: {formats}.")
    return BadInput(
        "{path} cannot be imported: {why}.",
        hint or known,
        path=path,
        why=why,
        formats=", ".join(FORMATS),
        **facts,
    )


def _refuse_if(path: Path, fault: Fault | None) -> None:
    """Raises BadInput for a fault."""
    if fault:
        raise _refuse(path, fault.why, fault.hint, **fault.facts)


def _check_raw(path: Path, file: BinaryIO) -> str:
    """Raises BadInput."""
    if file.seek(0, os.SEEK_END) % SECTOR_BYTES:
        raise BadInput("{path} is no raw disk of whole sectors.", path=path)
    return "raw"


def _found_format(path: Path, form: str, file: BinaryIO) -> str:
    """By its first bytes; the file is as long as it says. Raises BadInput, ValueError, OSError."""
    found = _format(path, file)
    if form not in ("", found):
        raise BadInput(
            "{path} is {format} for its machine, but its file is {found}.",
            "See: qemu-img info {path}",
            path=path,
            format=form,
            found=found,
        )
    _check_length(path, found, file)
    return found


def _check_length(path: Path, form: str, file: BinaryIO) -> None:
    """Raises BadInput for an image that ends too early, OSError, ValueError."""
    size_bytes = file.seek(0, os.SEEK_END)
    start = os.pread(file.fileno(), START_BYTES, 0)
    end = os.pread(file.fileno(), SECTOR_BYTES, max(0, size_bytes - SECTOR_BYTES))
    _refuse_if(path, length_fault(form, start, size_bytes, end))
    if form == "vhdx":
        needs_bytes = vhdx_end(lambda at, length: os.pread(file.fileno(), length, at))
        if needs_bytes > size_bytes:
            _refuse_if(path, cut_off_fault(needs_bytes, size_bytes))
    if form == "qcow2":
        needs_bytes, spare_bytes = needed_bytes(file), parse_header(start).cluster_bytes
        if needs_bytes - size_bytes >= spare_bytes:  # QEMU may leave out the end of the last one
            _refuse_if(path, cut_off_fault(needs_bytes, size_bytes))


def _check_tables(path: Path, form: str, image: OpenImage) -> None:
    """Raises BadInput for an image whose tables contradict each other."""
    if form not in _HAVE_TABLES:
        return
    done = check_image(image, form)
    if done.returncode not in _CHECK_STATUS:
        why = Sentence("qemu-img check cannot read it: {said}", said=_words(done.stderr))
        raise _refuse(path, why, AGAIN)
    _refuse_if(path, check_fault(done.stdout))


def _format(path: Path, file: BinaryIO) -> str:
    """Raises BadInput, ValueError, OSError."""
    size_bytes = file.seek(0, os.SEEK_END)
    start = os.pread(file.fileno(), START_BYTES, 0)
    if start.startswith(MAGIC):
        header = parse_header(start)
        if header.backing or header.data_file:
            other = N_("it has its data in another file")
            why = N_("it stands on another image") if header.backing else other
            raise _refuse(path, why, _CONVERT_HINT)
        if header.corrupt:
            raise _refuse(path, N_("it is corrupt"), N_("Try: qemu-img check -r all {path}"))
        return "qcow2"
    if start.startswith((b"KDMV", b"COWD")) or b"# Disk DescriptorFile" in start[:1024]:
        return _vmdk(path, start)
    if start[0x40:0x44] == b"\x7f\x10\xda\xbe":
        return "vdi"
    if start.startswith(b"vhdxfile"):
        return "vhdx"
    footer = os.pread(file.fileno(), 8, max(0, size_bytes - SECTOR_BYTES))
    if b"conectix" in (start[:8], footer):
        if start[60:64] == b"\0\0\0\4":
            raise _refuse(path, N_("it stands on another image"), _CONVERT_HINT)
        return "vpc"
    return _raw(path, start, size_bytes)


def _vmdk(path: Path, start: bytes) -> str:
    """Only the form with all of it in one file: a descriptor may name any file of the host."""
    capacity = int.from_bytes(start[12:20], "little")  # 0: what counts is the descriptor inside
    if not start.startswith((b"KDMV", b"COWD")):
        raise _refuse(
            path, N_("it only describes a VMDK: its data is in other files"), _CONVERT_HINT
        )
    if not start.startswith(b"KDMV") or capacity == 0:
        raise _refuse(path, N_("its data is in other files"), _CONVERT_HINT)
    if b"parentFileNameHint" in start:
        raise _refuse(path, N_("it stands on another image"), _CONVERT_HINT)
    return "vmdk"


def _raw(path: Path, start: bytes, size_bytes: int) -> str:
    _refuse_if(path, signature_fault(start))
    if size_bytes == 0:
        raise _refuse(path, N_("it is empty"))
    if size_bytes % SECTOR_BYTES:
        raise _refuse(path, N_("it is of no format known here, nor a raw disk of whole sectors"))
    return "raw"


def copy(
    source: Path,
    source_format: str,
    target: Path,
    target_format: str,
    *,
    target_is_zero: bool,
    progress: Callable[[float], None],
    seen: ImageInfo | None = None,
) -> None:
    """Copy a content into a volume that is there already; ``progress`` gets 0.0 to 1.0.

    Holes stay holes where the target reads as zeros; elsewhere all of it is written, also what
    lies behind the source's end. ``seen`` is what the source was when it was looked at. Raises
    BadInput for a source that is no image any more, or another; StorageFault with qemu-img's words.
    An error that ``progress`` raises stops the copy.
    """
    with _reading(source, source_format) as image:
        _check_same(image, seen)
        form = ["-f", "raw", "-O", target_format, "-t", _cache(target)]
        zero = ["--target-is-zero"] if target_is_zero else []
        argv = ["qemu-img", "convert", "-p", "-n", *form, *zero, image.url, str(absolute(target))]
        said = run_with_progress(_limit(argv, image), progress)
        if said is not None:
            raise StorageFault(
                "The copy of {path} failed: {said}.", path=source, said=said, target=target
            )
        _check_same(image, seen)
        if target.is_block_device() and not target_is_zero:
            _zero_rest(target, image.size_bytes)


def _check_same(image: OpenImage, seen: ImageInfo | None) -> None:
    """Raises BadInput when somebody has written to the file since it was looked at."""
    if seen and (image.stamp, image.size_bytes) != (seen.stamp, seen.virtual_size_bytes):
        raise BadInput(
            "{path} was changed while it was copied.",
            "Leave the file alone until the command has ended, and run the command again.",
            path=seen.path,
        )


def _limit(argv: list[str], image: OpenImage) -> list[str]:
    """Limits for a qemu-img that copies an image: a qcow2 is little larger than its content."""
    return limit(argv, file_bytes=image.size_bytes + image.size_bytes // 8 + GIB)


def export(
    source: Path,
    source_format: str,
    target: Path,
    progress: Callable[[float], None],
) -> None:
    """A new qcow2 file with the content of a volume of ours, its zeros left out.

    Raises StorageFault, NotOurs.
    """
    backing = backing_files(source) if source_format == "qcow2" else ()
    with _reading_own(source, source_format, backing) as image:
        argv = ["qemu-img", "convert", "-p", "-f", "raw", "-O", "qcow2", image.url]
        said = run_with_progress(_limit([*argv, str(absolute(target))], image), progress)
        if said is not None:
            raise StorageFault("The copy of {path} failed: {said}.", path=source, said=said)


@contextmanager
def _reading_own(path: Path, form: str, backing: Sequence[Path] = ()) -> Iterator[OpenImage]:
    """Have a child read an image that is named in a message as a whole. Raises StorageFault."""
    with ExitStack() as stack:
        try:
            image = stack.enter_context(reading_image(path, form, backing=backing))
        except (OSError, ValueError, UnreadableImage) as error:
            said = error.strerror if isinstance(error, OSError) else _words(str(error))
            raise StorageFault("{path} cannot be read: {why}.", path=path, why=said) from None
        yield image


def _cache(path: Path) -> str:
    """A device is read and written past the page cache, which may hold a student's old blocks."""
    return "none" if path.is_block_device() else "writeback"


def run_with_progress(argv: list[str], progress: Callable[[float], None]) -> str | None:
    """Run a qemu-img that prints its progress: None when it went well, else what it said."""
    said: list[str] = []
    with piping(argv) as child:
        assert child.stdout is not None  # piped() asked for it
        for line in child.stdout:  # text mode makes lines of what \r parts
            if match := _PROGRESS.search(line):
                progress(min(1.0, float(match[1]) / 100))
            elif line.strip():
                said.append(line)
        status = child.wait()
    return None if status == 0 else _words("".join(said)) or f"qemu-img ended with {status}"


def _zero_rest(device: Path, offset: int) -> None:
    """What a reused extent held before must not show behind the end of a copy."""
    with open_file(device) as file:
        length = file.seek(0, os.SEEK_END) - offset
    if length > 0:
        span = ["--offset", str(offset), "--length", str(length)]
        run(["blkdiscard", "--zeroout", *span, str(device)], timeout_s=_COPY_LIMIT_S)


def is_same_content(a: Path, a_format: str, b: Path, b_format: str) -> bool:
    """Whether both read the same; the longer one's rest must be zeros. Raises StorageFault.

    ``a`` may be an image of others; ``b`` is ours.
    """
    form = ["-q", "-f", "raw", "-F", b_format, "-T", _cache(b)]
    with _reading_own(a, a_format) as image:
        argv = limit(["qemu-img", "compare", *form, image.url, str(absolute(b))])
        done = run(argv, check=False, timeout_s=_COPY_LIMIT_S)
    if done.returncode not in (0, 1):
        said = _words(done.stderr + done.stdout)
        raise StorageFault("{a} and {b} cannot be compared: {said}", a=a, b=b, said=said)
    return done.returncode == 0


def _words(stderr: str) -> str:
    lines = (line.strip().removeprefix("qemu-img: ") for line in stderr.splitlines())
    return "; ".join(line for line in lines if line)[:600].rstrip(".")


def snapshots_inside(path: Path) -> int:
    """How many snapshots a qcow2 file has inside; 0 for other files. Raises ValueError, OSError."""
    with open_file(path) as file:
        start = file.read(START_BYTES)
    return parse_header(start).snapshots if start.startswith(MAGIC) else 0


def flush(path: Path) -> None:
    """What was written to a volume is on the disk when this returns, whatever its caches."""
    sync(path)
    devmapper.flush_page_cache(path)


def file_stamp(path: Path) -> tuple[int, int, int, int]:
    """Differs when somebody wrote to the file, or put another in its place. Raises BadInput."""
    try:
        seen = path.stat()
    except OSError as error:
        raise BadInput("{path}: {why}.", path=path, why=error.strerror) from None
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns)
