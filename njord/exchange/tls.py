"""Which certificate does the exchange show? One made on the spot, for the loopback address and the venue's own names.

It is valid for a day, its key is never kept. Whoever is to trust it is given its PEM text.
"""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAMES = ("localhost", "api.binance.us", "stream.binance.us", "ws-api.binance.us")
ADDRESS = IPv4Address("127.0.0.1")


def throwaway_context(names: tuple[str, ...] = NAMES) -> ssl.SSLContext:
    """Return a server's context with a new certificate for some names."""
    return throwaway(names)[0]


def throwaway(names: tuple[str, ...] = NAMES) -> tuple[ssl.SSLContext, str]:
    """Return a server's context with a new certificate for some names, and the certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "njord local exchange")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ADDRESS), *(x509.DNSName(each) for each in names)]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # A context reads files alone.
    with TemporaryDirectory() as folder:
        files = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
        for file, text in zip(files, (pem, private), strict=True):
            file.touch(0o600)
            file.write_bytes(text)
        context.load_cert_chain(*files)
    return context, pem.decode()
