"""
The public documents against a bare ASGI answer of the same size (target 6).
"""

from tests.bench.broker_app import FOLDER, data_folder
from tests.bench.load import drive, request, server

NAME = "documents"
TARGET = 0.8


def main(*, quick=False):
    requests = 1000 if quick else 20_000
    with data_folder("RS256", 0) as (folder, _):
        environ = {FOLDER: str(folder)}
        with server("tests.bench.documents:bare", 1, environ) as (port, pid):
            bare = drive(port, pid, request("GET", "/"), requests=requests, connections=16)
        with server("tests.bench.broker_app:create", 1, environ) as (port, pid):
            jwks = drive(port, pid, request("GET", "/openid/v1/jwks"), requests=requests, connections=16)
            known = request("GET", "/openid/v1/jwks", headers="If-None-Match: *\r\n")
            unchanged = drive(port, pid, known, requests=requests, connections=16, status=b"304")
    for name, found in (("bare ASGI", bare), ("JWKS", jwks), ("JWKS, 304", unchanged)):
        ratio = found.per_second / bare.per_second
        print(f"{name:10} {found.per_second:8.0f}/s  {found.cpu_us:6.0f} µs  {ratio:.2f} x bare (target {TARGET})")
    return {"bare": vars(bare), "jwks": vars(jwks), "304": vars(unchanged)}


def bare():
    """
    The smallest application that answers with as many bytes.
    """
    body = b"x" * 462

    async def answer(scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


if __name__ == "__main__":
    main()
