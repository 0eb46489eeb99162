"""The server's side of NTLM with channel binding, by pyspnego.

Reads `<connection> <allow|require> <token>`, answers `challenge <token>`, `user <name>` or `refused <why>`, a line each. `allow` is
Extended Protection as IIS means it: a client that sends no binding passes, one that sends another is refused.
"""

import base64
import sys

import spnego
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from spnego._ntlm_raw.messages import Authenticate, AvId, NTClientChallengeV2
from spnego.channel_bindings import GssChannelBindings


def binding(path):
    """RFC 5929 4.1: the hash of the certificate's own signature, SHA-256 in place of weaker ones."""
    with open(path, "rb") as file:
        certificate = x509.load_pem_x509_certificate(file.read())
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate.public_bytes(Encoding.DER))
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())


def is_bound(token):
    response = Authenticate.unpack(token).nt_challenge_response or b""
    if len(response) <= 24:
        return False
    pairs = NTClientChallengeV2.unpack(response[16:]).av_pairs
    return any(pairs.get(AvId.channel_bindings, b""))


OURS = binding(sys.argv[1])
CONTEXTS = {}
print("ready", flush=True)
for line in sys.stdin:
    connection, mode, text = line.split()
    token = base64.b64decode(text)
    try:
        if token[8:12] == b"\1\0\0\0":
            CONTEXTS[connection] = spnego.server(protocol="ntlm")
            print("challenge", base64.b64encode(CONTEXTS[connection].step(token)).decode(), flush=True)
            continue
        context = CONTEXTS.pop(connection)
        # The library takes a binding of zeros for none and lets it pass; IIS does not where it requires one.
        if mode == "require" and not is_bound(token):
            raise ValueError("no channel binding")
        context.step(token, channel_bindings=OURS if is_bound(token) else None)
        print("user", context.client_principal, flush=True)
    except Exception as error:
        print("refused", type(error).__name__, str(error).replace("\n", " "), flush=True)
