"""What settings are made of: paths beside the file, ports, addresses, and a section's form.

Owns the checks that several sections share. Knows no setting.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo


def beside_the_file(path: Path, info: ValidationInfo) -> Path:
    """Relative paths count from the configuration file's folder, not from where one stands."""
    return Path((info.context or {}).get("folder", Path.cwd())) / path.expanduser()


def _readable(path: Path | None) -> Path | None:
    if path is not None and not os.access(path, os.R_OK):
        raise ValueError(f"{path} does not exist or may not be read")
    return path


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address, such as 127.0.0.1 or ::1") from None


def web_address(url: str) -> str:
    """The address without a slash at its end, or ""; anything else is refused."""
    if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise ValueError(f"{url!r} is not a web address, such as https://desk.example.com")
    return url.rstrip("/")


FilePath = Annotated[Path, AfterValidator(beside_the_file)]
ReadableFile = Annotated[Path, AfterValidator(beside_the_file), AfterValidator(_readable)]
Port = Annotated[int, Field(ge=0, le=65535)]
Address = Annotated[str, AfterValidator(_address)]
WebAddress = Annotated[str, AfterValidator(web_address)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
