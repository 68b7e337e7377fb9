"""The certificate of the interface: the configured one, or one of our own, made once. No listening, no requests."""

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.runtime.config import ApiConfig
from node.runtime.platform import mode_command, readable_by_others, replace_private
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from cryptography import x509

CERT_NAME: Final = "api-cert.pem"
KEY_NAME: Final = "api-key.pem"
YEARS: Final = 10  # nobody but whoever compared its fingerprint trusts it, and a new one has to be compared again
WILD: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - refused without names


def hosts_of(api: ApiConfig) -> frozenset[str]:
    """The values of Host a call may have, ports apart. Raises config-invalid: a wildcard address without names."""
    names = {name.lower() for name in api.names}
    if api.listen_host is not None and api.listen_host not in WILD:
        names.add(api.listen_host.lower())
    if not names:
        raise ProtocolError("config-invalid", field="api.names", expected="almeno un nome o un indirizzo")
    return frozenset(f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names)


def files_of(api: ApiConfig, data_dir: Path) -> tuple[Path, Path]:
    """(certificate, key): as configured, or where our own lie. Raises config-invalid when only one is configured."""
    if (api.cert_file is None) != (api.key_file is None):
        raise ProtocolError("config-invalid", field="api.cert_file", expected="cert_file e key_file insieme")
    if api.cert_file is not None and api.key_file is not None:
        return Path(api.cert_file), Path(api.key_file)
    return data_dir / CERT_NAME, data_dir / KEY_NAME


def context(api: ApiConfig, data_dir: Path, now: int) -> ssl.SSLContext:
    """For the listener. Raises config-missing, keys-exposed, config-invalid (files that are no certificate and key)."""
    cert, key = files_of(api, data_dir)
    if api.cert_file is None and not (cert.exists() and key.exists()):
        make(api, data_dir, now)
    for path in (cert, key):
        if not path.exists():
            raise ProtocolError("config-missing", field=path.name)
    if readable_by_others(key):
        raise ProtocolError("keys-exposed", field=key.name, expected=mode_command(key))
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(cert, key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise ProtocolError("config-invalid", field="api.cert_file", expected="certificato e chiave PEM") from error
    return made


def _no_password() -> str:
    """A key that asks for one would stop the start at a terminal nobody sits at."""
    raise ValueError


def fingerprint(cert: Path) -> str | None:
    """SHA-256 of the certificate, as tools show it: "3F:A0:…"; None while there is none."""
    if not cert.exists():
        return None
    text = cert.read_text("ascii", "replace")
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    first = begin + text.partition(begin)[2].partition(end)[0] + end
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).digest().hex(":").upper()


def make(api: ApiConfig, data_dir: Path, now: int) -> None:
    """A certificate of our own for these names: key first, so that there is never a certificate without one."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.fromtimestamp(now, UTC) - timedelta(days=1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Raccordo")])
    names = x509.SubjectAlternativeName([_general(host.strip("[]")) for host in sorted(hosts_of(api))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=365 * YEARS))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    replace_private(data_dir / KEY_NAME, pem)
    replace_private(data_dir / CERT_NAME, made.public_bytes(serialization.Encoding.PEM))


def _general(host: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
