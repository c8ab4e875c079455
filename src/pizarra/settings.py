"""Settings: ``/etc/pizarra/pizarra.toml``, or PIZARRA_… in the environment, which wins."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pizarra.errors import BadInput

FILE = Path("/etc/pizarra/pizarra.toml")
_LVM_NAME = "[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,127}"  # lvm(8), VALID NAMES


class Settings(BaseSettings):
    """What a host's technician may choose. Every one has a default that works."""

    model_config = SettingsConfigDict(env_prefix="PIZARRA_", extra="forbid")

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
    grace_s: float = Field(30, ge=0, le=3600, description="how long a guest may take to shut down")
    undo_hours: float = Field(
        24, ge=0, le=8760, description="how long a reset can be undone; 0 keeps nothing"
    )
    at_once: int = Field(
        default_factory=lambda: min(20, 2 * (os.cpu_count() or 2)),
        ge=1,
        le=200,
        description="how many machines are started or stopped at the same time",
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
    server_https: bool = Field(
        False, description="whether browsers come by TLS, so that cookies go no other way"
    )
    server_self_signed: bool = Field(
        False, description="whether the server speaks TLS itself, with a certificate that it makes"
    )
    server_time_zone: str = Field("Europe/Madrid", description="of times on pages")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the file."""
        _ = dotenv_settings, file_secret_settings
        file = TomlConfigSettingsSource(settings_cls, FILE)
        return init_settings, env_settings, file


def read_settings() -> Settings:
    """Raises BadInput naming the setting that cannot be."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
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
