"""Settings: ``/etc/pizarra/pizarra.toml``, or PIZARRA_… in the environment, which wins."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from pizarra.errors import BadInput

FILE = Path("/etc/pizarra/pizarra.toml")
_PREFIX = "pizarra_"  # of variables of the environment, in capitals there
_LVM_NAME = "[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,127}"  # lvm(8), VALID NAMES


_SUBNET_PREFIX = 24  # of the network of a classroom with few seats


def _check_range(range_: IPv4Network) -> IPv4Network:
    """Raises ValueError for addresses that are somebody's, or too few for one classroom."""
    special = range_.is_loopback or range_.is_link_local or range_.is_multicast
    if range_.is_global or special or range_.is_reserved:
        raise ValueError(f"{range_} is no range for private use, such as 10.77.0.0/16")
    if range_.prefixlen > _SUBNET_PREFIX:
        raise ValueError(f"{range_} is too small: a classroom needs a /{_SUBNET_PREFIX}")
    return range_


def _check_address(text: str) -> str:
    """Raises ValueError for what is no address or network."""
    ip_network(text, strict=False)
    return text


class Settings(BaseModel):
    """The settings of a host. Every setting has a default that works."""

    model_config = ConfigDict(extra="forbid")

    libvirt_uri: str = Field("qemu:///system", description="where libvirt is")
    vg: str = Field(
        "",
        pattern=rf"^({_LVM_NAME})?$",
        description="the volume group to use when a command names none",
    )
    pool: str = Field(
        "pizarra",
        pattern=f"^{_LVM_NAME}$",
        description="the name of the thin pool in a volume group",
    )
    folder: Path = Field(
        Path("/var/lib/libvirt/images/pizarra"), description="where qcow2 disks are"
    )
    state_folder: Path = Field(
        Path("/var/lib/pizarra"), description="where this host keeps its records"
    )
    run_folder: Path = Field(
        Path("/run/pizarra"),
        description="where claims and views are noted, which end with the system at the latest",
    )
    subnets: list[Annotated[IPv4Network, AfterValidator(_check_range)]] = Field(
        default_factory=list,
        description="the ranges that networks of classrooms are in; empty is what is free of 10/8,"
        " 172.16/12 and 192.168/16",
    )
    grace_s: float = Field(30, ge=0, le=3600, description="how long a guest may take to shut down")
    undo_hours: float = Field(
        24, ge=0, le=8760, description="how long a reset can be undone; 0 keeps nothing"
    )
    pool_reserve_percent: float = Field(
        5,
        ge=1,
        le=90,
        description="how much of a pool stays free: nothing starts or is imported below that, and"
        " the machines that write fastest are paused",
    )
    at_once: int = Field(
        default_factory=lambda: min(20, 2 * (os.cpu_count() or 2)),
        ge=1,
        le=200,
        description="how many machines are started or stopped at the same time",
    )

    # what teachers may ask for from the pages and the API; technicians and root have no limits
    teacher_bridges: list[str] = Field(
        default_factory=list, description="bridges of the host that teachers may put seats on"
    )
    teacher_classrooms: int = Field(20, ge=1, le=1000, description="classrooms of a teacher")
    teacher_seats: int = Field(40, ge=1, le=1000, description="seats of a teacher's classroom")
    teacher_vcpus: int = Field(4, ge=1, le=64, description="processors of a teacher's machine")
    teacher_memory_gib: float = Field(
        8, gt=0, le=1024, description="memory of a teacher's machine, in GiB"
    )
    teacher_disk_gib: float = Field(
        100, gt=0, le=65536, description="the disk that a teacher may ask for, in GiB a seat"
    )

    # the server; a host that is only used from its terminal needs none of it
    database: SecretStr = Field(
        SecretStr(""),
        description="postgresql://USER:PASSWORD@HOST/NAME of people and jobs; empty is SQLite",
    )
    server_folder: Path = Field(
        Path("/var/lib/pizarra/server"), description="where the server keeps its data"
    )
    server_user: str = Field("pizarra", description="the system user that pages run as")
    server_listen: str = Field(
        "127.0.0.1:8000",
        pattern=r"^(\[[0-9a-f:]+\]|[0-9.]+):[0-9]{1,5}$",
        description="the address and port that the server listens at, behind a proxy with TLS",
    )
    server_names: list[str] = Field(
        default_factory=list, description="names that browsers call the server by"
    )
    server_proxies: list[Annotated[str, AfterValidator(_check_address)]] = Field(
        default_factory=list,
        description="addresses of the proxies in front of the server, such as 127.0.0.1; what a"
        " proxy says of its visitors' addresses is believed, and nobody else's word",
    )
    server_https: bool = Field(
        False, description="whether browsers come by TLS, so that cookies go no other way"
    )
    server_self_signed: bool = Field(
        False, description="whether the server speaks TLS itself, with a certificate that it makes"
    )
    server_time_zone: str = Field("Europe/Madrid", description="of times on pages")

    def __init__(self, **given: Any) -> None:
        """Arguments win over the environment, and the environment over the file."""
        super().__init__(**{**_file(), **_environment(), **given})

    # what is in the folders of a host's state and of its server

    @property
    def pages_folder(self) -> Path:
        """The folder that belongs to the user of the pages. Root resolves no name in it."""
        return self.server_folder / "pages"

    @property
    def agent_socket(self) -> Path:
        """The door of the agent, in a folder of root's."""
        return self.run_folder / "agent.sock"

    @property
    def activity_folder(self) -> Path:
        """The folder of the notes of who was active lately."""
        return self.run_folder / "activity"

    @property
    def halt_folder(self) -> Path:
        """The folder of the notes of machines that the guard paused."""
        return self.run_folder / "halts"

    @property
    def rules_file(self) -> Path:
        """A file that says: libvirt was restarted for the firewall rules of its networks."""
        return self.run_folder / "rules"

    @property
    def lock_folder(self) -> Path:
        """The folder of the claims of seats, classrooms and templates."""
        return self.run_folder / "locks"

    @property
    def view_folder(self) -> Path:
        """The folder of the notes of views."""
        return self.run_folder / "views"

    @property
    def journal_folder(self) -> Path:
        """The folder of the records of operations."""
        return self.state_folder / "journal"

    @property
    def flight_folder(self) -> Path:
        """The folder of the flight records."""
        return self.state_folder / "flights"

    @property
    def growth_folder(self) -> Path:
        """The folder of the growth of pools."""
        return self.state_folder / "growth"

    @property
    def seed_folder(self) -> Path:
        """The folder of the seeds of cloud-init."""
        return self.state_folder / "seeds"

    @property
    def export_folder(self) -> Path:
        """The folder of exports that wait to be downloaded."""
        return self.state_folder / "exports"


def _file() -> dict[str, Any]:
    """Read the file. Raises OSError, ValueError for a file that is no TOML."""
    try:
        text = FILE.read_text(encoding="utf-8-sig")  # editors of Windows put a mark before it
    except FileNotFoundError:
        return {}
    import tomllib  # most hosts have no such file

    return tomllib.loads(text)


def _environment() -> dict[str, Any]:
    """Read the environment. Lists are written as JSON; what is no JSON is refused as no list."""
    named = {key.lower(): value for key, value in os.environ.items()}
    found: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        value = named.get(_PREFIX + name)
        if value is not None:
            found[name] = value
            if field.default_factory is list:
                with suppress(ValueError):
                    found[name] = json.loads(value)
    return found


def read_settings() -> Settings:
    """Read the settings. Raises BadInput naming the setting that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise BadInput(
            "The setting {name} cannot be used: {why}.",
            "Correct it in {file}, or the variable PIZARRA_{upper}.",
            name=name,
            upper=name.upper(),
            why=first["msg"],
            file=FILE,
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput("{file} cannot be read: {why}.", file=FILE, why=error) from None
