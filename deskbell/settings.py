"""Settings: every one with its name, default, meaning and limits.

Owns what may be configured and what values make sense. Knows nothing of files, variables or how
errors are told (deskbell/config.py does). Secrets are `SecretStr`: they print as asterisks.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from deskbell.channel_settings import (
    ChatSettings,
    FaxSettings,
    HallSettings,
    InboxSettings,
    MailSettings,
    MessengersSettings,
    SmsSettings,
)
from deskbell.setting_types import (
    Address,
    FilePath,
    Port,
    ReadableFile,
    Section,
    WebAddress,
    beside_the_file,
)


class DeskSettings(Section):
    """The web: where the desk listens and how long a sign-in lasts."""

    host: Annotated[
        str, Field(description="Address to listen on. 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1"
    port: Annotated[Port, Field(description="TCP port to listen on; 0 takes a free one.")] = 8080
    public_url: Annotated[
        WebAddress,
        Field(
            description="Address that browsers use when a proxy stands in front, such as "
            "https://desk.example.com. Empty: the listening address."
        ),
    ] = ""
    behind_proxy: Annotated[
        bool,
        Field(
            description="A proxy of ours stands in front: take the client's address from the last "
            "X-Forwarded-For entry."
        ),
    ] = False
    session_hours: Annotated[
        float, Field(gt=0, le=720, description="Hours until a sign-in ends by itself.")
    ] = 12.0
    tls_certificate: Annotated[
        ReadableFile | None,
        Field(description="PEM file of the certificate and its chain. Unset: no TLS here."),
    ] = None
    tls_key: Annotated[
        ReadableFile | None,
        Field(description="PEM file of the certificate's private key."),
    ] = None

    @field_validator("tls_key")
    @classmethod
    def _comes_with_a_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if "tls_certificate" in info.data and bool(info.data["tls_certificate"]) != bool(key):
            raise ValueError("tls_certificate and tls_key go together: set both or neither")
        return key


class StoreSettings(Section):
    """The database."""

    url: Annotated[
        SecretStr,
        Field(
            description="sqlite:///PATH (relative to the configuration file), or "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
        ),
    ] = SecretStr("sqlite:///var/deskbell.db")

    @field_validator("url")
    @classmethod
    def _is_a_database(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        scheme, separator, rest = url.get_secret_value().partition("://")
        if not separator or scheme.partition("+")[0] not in {"sqlite", "postgresql"}:
            raise ValueError("a database URL begins with sqlite:/// or postgresql://")
        if scheme.startswith("sqlite"):
            path = rest.removeprefix("/")
            if not path:
                raise ValueError("sqlite:/// needs a file's path behind it")
            return SecretStr(f"sqlite:///{beside_the_file(Path(path), info)}")
        if not urlsplit(f"postgresql://{rest}").path.strip("/"):
            raise ValueError("a PostgreSQL URL ends in /DATABASE")
        return url


class PbxSettings(Section):
    """An Asterisk: started by Deskbell (embedded), or one that runs already (external)."""

    mode: Annotated[
        Literal["embedded", "external"],
        Field(
            description="embedded: Deskbell runs an Asterisk of its own. external: one that "
            "runs already is used by AMI (docs/asterisk.md)."
        ),
    ] = "embedded"
    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9_]{0,30}$",
            description="The PBX's name in calls and pages; unique among several.",
        ),
    ] = "main"
    folder: Annotated[
        FilePath,
        Field(description="Embedded: private folder for its configuration, logs and recordings."),
    ] = Path("var/pbx")
    cache: Annotated[
        FilePath | None,
        Field(description="Embedded: folder of the unpacked Asterisk. Unset: the user's cache."),
    ] = None
    bind_address: Annotated[
        Address, Field(description="Embedded: address that phones and trunks reach it at.")
    ] = "127.0.0.1"
    sip_port: Annotated[Port, Field(description="Embedded: SIP over UDP; 0 takes a free port.")] = 0
    http_port: Annotated[
        Port,
        Field(description="HTTP and WebSocket, for phones in browsers; 0 takes a free port."),
    ] = 0
    rtp_first: Annotated[
        int,
        Field(ge=0, le=65000, description="Embedded: first UDP port for voice; 0 chooses one."),
    ] = 0
    rtp_ports: Annotated[
        int,
        Field(ge=10, le=20000, description="Embedded: how many UDP ports; a call takes 4."),
    ] = 2000
    trunk_address: Annotated[
        Address,
        Field(description="Embedded: the telephone network's address; its calls come from there."),
    ] = "127.0.0.2"
    trunk_port: Annotated[
        Port, Field(description="Embedded: where outbound calls are sent to there; 0: a free port.")
    ] = 0
    ami_host: Annotated[
        str, Field(description="External: host of its manager interface (AMI).")
    ] = "127.0.0.1"
    ami_port: Annotated[
        Port,
        Field(description="AMI's TCP port. Embedded: 0 takes a free one. External: usually 5038."),
    ] = 0
    ami_user: Annotated[str, Field(description="External: the AMI user.")] = ""
    ami_secret: Annotated[SecretStr, Field(description="External: the AMI user's secret.")] = (
        SecretStr("")
    )
    recordings_folder: Annotated[
        FilePath | None,
        Field(
            description="External: where its recordings (its spool's folder monitor) can be read "
            "here. Unset: they cannot be played."
        ),
    ] = None
    ari_url: Annotated[
        str,
        Field(
            description="External: its HTTP server, such as http://127.0.0.1:8088, for phones in "
            "browsers. Empty: desk phones only."
        ),
    ] = ""
    ari_user: Annotated[str, Field(description="External: the user of its REST interface.")] = ""
    ari_secret: Annotated[SecretStr, Field(description="External: the ARI user's password.")] = (
        SecretStr("")
    )
    media_address: Annotated[
        Address | Literal[""],
        Field(
            description="External: the PBX's address for browsers' sound. Empty: it chooses itself."
        ),
    ] = ""

    @field_validator("ari_url")
    @classmethod
    def _is_an_http_server(cls, url: str) -> str:
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ValueError(f"{url!r} is not an address such as http://127.0.0.1:8088")
        return url

    @property
    def sound_folder(self) -> Path | None:
        """Where its recordings can be read: Asterisk writes them under its spool."""
        return self.folder / "spool/monitor" if self.mode == "embedded" else self.recordings_folder

    @field_validator("rtp_ports")
    @classmethod
    def _fit_below_the_last_port(cls, ports: int, info: ValidationInfo) -> int:
        if info.data.get("rtp_first", 0) + ports > 65536:
            raise ValueError("rtp_first + rtp_ports goes beyond port 65535")
        return ports

    @field_validator("ami_port", "ami_user", "ami_secret")
    @classmethod
    def _external_needs_it(cls, value: Any, info: ValidationInfo) -> Any:
        bare = value.get_secret_value() if isinstance(value, SecretStr) else value
        if info.data.get("mode") == "external" and not bare:
            raise ValueError('needed with mode = "external"')
        if isinstance(bare, str) and any(character in bare for character in "\r\n\0"):
            raise ValueError("must be one line")
        return value


class NumbersSettings(Section):
    """How telephone numbers are read."""

    region: Annotated[
        str,
        Field(
            pattern=r"^[A-Z]{2}$",
            description="Country (ISO 3166, two letters) whose way of writing national numbers "
            "have.",
        ),
    ] = "CN"


class WrapUpSettings(Section):
    """Time for written work after a call."""

    seconds: Annotated[
        int,
        Field(ge=0, le=3600, description="Wrap-up time in seconds where a queue sets none."),
    ] = 30


class MenusSettings(Section):
    """The phone menus: what callers can do alone (docs/menus.md)."""

    host: Annotated[
        Address, Field(description="Address to answer Asterisk on, which asks by FastAGI.")
    ] = "127.0.0.1"
    port: Annotated[
        Port,
        Field(description="TCP port for that. 0 takes a free one; for an external PBX it is 4573."),
    ] = 0
    reached_at: Annotated[
        str,
        Field(description="Host at which an external PBX reaches that port. Empty: `host`."),
    ] = ""
    key: Annotated[
        SecretStr,
        Field(
            description="The word by which an external PBX is known: the one in what "
            "`deskbell asterisk-conf` wrote. Empty: no phone menus there."
        ),
    ] = SecretStr("")
    peers: Annotated[
        tuple[str, ...],
        Field(description="Addresses or networks that the PBX asks from; all others are cut off."),
    ] = ("127.0.0.1", "::1")
    numbers: Annotated[
        tuple[str, ...], Field(description="Extensions that reach the main menu.")
    ] = ("610",)
    called_as: Annotated[
        tuple[str, ...],
        Field(
            description="Numbers, as the telephone network dials them, that reach the main menu."
        ),
    ] = ()
    fallback_queue: Annotated[
        str,
        Field(
            description="Queue that callers come to when Deskbell cannot answer. Empty: the one "
            "with the lowest number."
        ),
    ] = ""
    sounds: Annotated[
        FilePath | None,
        Field(
            description="Folder of the prompts' sounds; Asterisk must be able to read it. Unset: "
            "`sounds` in the first PBX's folder."
        ),
    ] = None

    piper_voices: Annotated[
        tuple[str, ...],
        Field(
            description="Voices of piper (if the package piper-tts is installed), each as "
            "`LANGUAGE=/path/VOICE.onnx`; other languages are spoken by espeak-ng."
        ),
    ] = ()

    @field_validator("piper_voices")
    @classmethod
    def _are_files_by_language(cls, voices: tuple[str, ...]) -> tuple[str, ...]:
        for voice in voices:
            if not re.fullmatch(r"[a-z]{2,3}=/.+\.onnx", voice):
                raise ValueError(f"{voice!r} is not like zh=/srv/voices/zh_CN-huayan-medium.onnx")
        return voices

    @field_validator("key")
    @classmethod
    def _is_a_word(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch(r"([A-Za-z0-9]{16,100})?", key.get_secret_value()):
            raise ValueError("must be 16 to 100 letters (a to z, A to Z) and digits")
        return key

    @field_validator("peers")
    @classmethod
    def _are_networks(cls, peers: tuple[str, ...]) -> tuple[str, ...]:
        for peer in peers:
            try:
                ip_network(peer, strict=False)
            except ValueError:
                raise ValueError(f"{peer!r} is no address or network, as 10.1.0.0/16") from None
        return peers

    @field_validator("numbers", "called_as")
    @classmethod
    def _can_be_dialled(cls, numbers: tuple[str, ...]) -> tuple[str, ...]:
        for number in numbers:
            if not re.fullmatch(r"\+?[0-9]{2,20}", number):
                raise ValueError(f"{number!r} is no number, as 610 or +862155550600")
        return numbers


class LogSettings(Section):
    """What Deskbell says about its own work."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least weight to log.")
    ] = "INFO"
    format: Annotated[
        Literal["text", "json"], Field(description="Lines for people, or one JSON object a line.")
    ] = "text"


class Settings(Section):
    """The whole configuration. `pbx` has one entry for `[pbx]`, several for `[[pbx]]`."""

    desk: DeskSettings = Field(default_factory=DeskSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    pbx: tuple[PbxSettings, ...] = Field(default_factory=lambda: (PbxSettings(),))
    numbers: NumbersSettings = Field(default_factory=NumbersSettings)
    wrap_up: WrapUpSettings = Field(default_factory=WrapUpSettings)
    menus: MenusSettings = Field(default_factory=MenusSettings)
    inbox: InboxSettings = Field(default_factory=InboxSettings)
    mail: MailSettings = Field(default_factory=MailSettings)
    sms: SmsSettings = Field(default_factory=SmsSettings)
    messengers: MessengersSettings = Field(default_factory=MessengersSettings)
    chat: ChatSettings = Field(default_factory=ChatSettings)
    hall: HallSettings = Field(default_factory=HallSettings)
    fax: FaxSettings = Field(default_factory=FaxSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @field_validator("pbx")
    @classmethod
    def _have_names_of_their_own(cls, entries: tuple[PbxSettings, ...]) -> tuple[PbxSettings, ...]:
        if not entries:
            raise ValueError("at least one PBX is needed")
        names = [entry.name for entry in entries]
        if len(set(names)) < len(names):
            raise ValueError(f"every [[pbx]] needs a name of its own, these are {names}")
        return entries


SECTIONS: dict[str, type[Section]] = {
    "desk": DeskSettings,
    "store": StoreSettings,
    "pbx": PbxSettings,
    "numbers": NumbersSettings,
    "wrap_up": WrapUpSettings,
    "menus": MenusSettings,
    "inbox": InboxSettings,
    "mail": MailSettings,
    "sms": SmsSettings,
    "messengers": MessengersSettings,
    "chat": ChatSettings,
    "hall": HallSettings,
    "fax": FaxSettings,
    "log": LogSettings,
}
