"""Logs in through the edge by NTLM: `client.py PORT ROOTS NAME HOW USER PASSWORD TARGET [TIMES]`. Prints a line for each answer."""

import socket
import sys

PORT, ROOTS, NAME, HOW, USER, PASSWORD, TARGET = sys.argv[1:8]
TIMES = int(sys.argv[8]) if len(sys.argv) > 8 else 1

# The name of the test leads here.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **named: resolve("127.0.0.1" if host == NAME else host, *rest, **named)


def with_requests():
    import requests
    from requests_ntlm import HttpNtlmAuth

    session = requests.Session()
    session.verify, session.trust_env = ROOTS, False
    session.auth = HttpNtlmAuth(f"EXAMPLE\\{USER}", PASSWORD, send_cbt=HOW != "requests-unbound")
    for _ in range(TIMES):
        answer = session.get(f"https://{NAME}:{PORT}{TARGET}", timeout=60)
        print(answer.status_code, answer.text)


def with_exchangelib():
    import os

    os.environ["REQUESTS_CA_BUNDLE"] = ROOTS
    from exchangelib import DELEGATE, NTLM, Account, Configuration, Credentials, EWSTimeZone
    from exchangelib.protocol import FailFast
    from exchangelib.version import EXCHANGE_2019, Version

    config = Configuration(
        service_endpoint=f"https://{NAME}:{PORT}{TARGET}",
        credentials=Credentials(f"EXAMPLE\\{USER}", PASSWORD),
        auth_type=NTLM,
        version=Version(build=EXCHANGE_2019),
        retry_policy=FailFast(),
    )
    account = Account(
        f"{USER}@example.org",
        config=config,
        autodiscover=False,
        access_type=DELEGATE,
        default_timezone=EWSTimeZone("UTC"),
    )
    for _ in range(TIMES):
        account.__dict__.pop("root", None)
        print(200, account.root.name)


with_exchangelib() if HOW == "exchangelib" else with_requests()
