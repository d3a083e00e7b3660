"""A Milvus server for tests: Milvus Lite's own, at a port, with TLS, tokens and failures if asked.

It speaks the protocol of any Milvus, so `milvus://` addresses are tested through a real connection;
what only a cluster does (consistency levels, sharding, memory) is not.
"""

from __future__ import annotations

import base64
import datetime
import os
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # tests start processes beside it

import grpc

WRITES = ("Upsert", "Delete")


@dataclass
class Served:
    """A running server."""

    port: int
    host: str = "127.0.0.1"
    called: list[str] = field(default_factory=list)
    """Names of the calls that came."""
    fails_at: int = 0
    """Which of the writes from now on fails, once; 0 is none."""

    def address(self, name: str = "photos", host: str = "") -> str:
        return f"milvus://{host or self.host}:{self.port}/{name}"

    def drop(self, name: str) -> None:
        """Remove the collections of a store, if there is one."""
        from pymilvus import MilvusClient

        client = MilvusClient(f"http://{self.host}:{self.port}", dedicated=True)
        for one in client.list_collections():
            if one == name or one.startswith(f"{name}_"):
                client.drop_collection(one)
        client.close()


class _Gate(grpc.ServerInterceptor):
    def __init__(self, served: Served, token: str) -> None:
        self.served = served
        self.token = token

    def intercept_service(
        self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails
    ) -> Any:
        name = details.method.rpartition("/")[2]
        self.served.called.append(name)
        if self.token:
            sent = dict(details.invocation_metadata).get("authorization", "")
            if base64.b64decode(sent).decode() != self.token:
                return _refusal(grpc.StatusCode.UNAUTHENTICATED, "auth check failure")
        if name in WRITES and self.served.fails_at:
            self.served.fails_at -= 1
            if not self.served.fails_at:
                return _refusal(grpc.StatusCode.INVALID_ARGUMENT, "the disk is gone")
        return continuation(details)


def _refusal(code: grpc.StatusCode, why: str) -> Any:
    def refuse(_: object, context: grpc.ServicerContext) -> None:
        context.abort(code, why)

    return grpc.unary_unary_rpc_method_handler(refuse)


@contextmanager
def milvus(
    folder: Path, *, token: str = "", certificate: tuple[bytes, bytes] | None = None
) -> Iterator[Served]:
    """Serve what is in `folder`.

    Args:
        token: that callers must send.
        certificate: key and certificate (PEM), for TLS.
    """
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen import milvus_pb2_grpc

    served = Served(0)
    database = MilvusLite(str(folder))
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=8), interceptors=[_Gate(served, token)]
    )
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(database), server)
    if certificate is None:
        served.port = server.add_insecure_port("127.0.0.1:0")
    else:
        credentials = grpc.ssl_server_credentials([certificate])
        served.port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield served
    finally:
        server.stop(grace=0).wait()
        database.close()


def self_signed(host: str = "localhost") -> tuple[bytes, bytes]:
    """A key and a certificate for `host`, PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, form, plain), certificate.public_bytes(pem)
