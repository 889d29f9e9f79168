"""Debian's Dovecot, started for a test module on free ports, as an ordinary user.

Owns its configuration, one mailbox per user (any user, one password), a certificate for TLS, and
that nothing of it is left.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from tools.system_programs import cache

PASSWORD = "not-a-secret-1"

_CONFIGURATION = """\
base_dir = {run}
state_dir = {run}/state
log_path = {folder}/log
{where}
protocols = imap
listen = 127.0.0.1
default_login_user = {user}
default_internal_user = {user}
default_internal_group = {group}
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 100
mail_fsync = never
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
auth_failure_delay = 0
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """A server of IMAP on loopback: `port` without TLS (and STARTTLS), `tls_port` with it. `trust`
    is the certificate to trust."""

    host = "localhost"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self.tls_port = _free_ports(2)
        self.trust = str(folder / "server.pem")

    def start(self) -> None:
        installed = shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin")
        unpacked = None if installed else _unpacked()
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        folder = self._folder
        folder.chmod(0o755)
        make_certificate(folder / "server.pem")
        for name in ("run", "run/state", "mail", "home"):
            (folder / name).mkdir()
        (folder / "dovecot.conf").write_text(
            _CONFIGURATION.format(
                where=_where(unpacked) if unpacked else "",
                run=folder / "run",
                folder=folder,
                user=account.pw_name,
                group=grp.getgrgid(account.pw_gid).gr_name,
                uid=account.pw_uid,
                gid=account.pw_gid,
                port=self.port,
                tls_port=self.tls_port,
                password=PASSWORD,
            )
        )
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, account.pw_uid, account.pw_gid)
        command, environment = _command(unpacked, folder / "dovecot.conf")
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            user=account.pw_uid if os.geteuid() == 0 else None,
            group=account.pw_gid if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
            cwd=folder,
        )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        while True:
            with socket.socket() as probe:
                probe.settimeout(5)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0 and probe.recv(100):
                    return
            if self._process.poll() is not None:
                log = self._folder / "log"
                pytest.fail(f"Dovecot did not start: {log.read_text() if log.exists() else ''}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=30)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.trust)

    def make_anew(self, user: str) -> None:
        """The user's mailbox becomes another one, with another UIDVALIDITY, without its mails."""
        shutil.rmtree(self._folder / "mail" / user)


def _unpacked() -> Path:
    """Where the set-up has unpacked it without root. Fails the test if there is none."""
    root = cache() / "dovecot-imapd"
    if not (root / "usr/sbin/dovecot").exists():
        pytest.fail("there is no Dovecot here: apt-get install dovecot-imapd (or `make test`)")
    return root


def _where(root: Path) -> str:
    libraries = root / "usr/lib/dovecot"
    return (
        f"libexec_dir = {libraries}\nmail_plugin_dir = {libraries}/modules\n"
        "import_environment = TZ LD_LIBRARY_PATH"
    )


def _command(root: Path | None, configuration: Path) -> tuple[list[str], dict[str, str]]:
    path = f"{os.environ['PATH']}:/usr/sbin"
    if root is None:
        return ["dovecot", "-F", "-c", str(configuration)], {"PATH": path}
    # Dovecot reads its settings by /usr/bin/doveconf, but for those that it is started with.
    settings = ["-f", "service=master", "-c", str(configuration), "-m", "master", "-p"]
    server = [str(root / "usr/sbin/dovecot"), "-F", "-c", str(configuration)]
    libraries = [*(root / "usr/lib").glob("*-linux-gnu*"), root / "usr/lib/dovecot"]
    return [str(root / "usr/bin/doveconf"), *settings, "-e", *server], {
        "PATH": path,
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
    }


def make_certificate(file: Path) -> None:
    """A certificate for localhost with its key, in one file."""
    subprocess.run(
        [  # noqa: S607
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", str(file), "-out", str(file.with_suffix(".crt")),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    file.write_bytes(file.read_bytes() + file.with_suffix(".crt").read_bytes())


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
