"""ssl: contexts, and a whole handshake in memory."""

import pathlib
import ssl
import sys

print(ssl.create_default_context().verify_mode, ssl.HAS_TLSv1_3)
certificate = str(pathlib.Path(sys.argv[0]).with_name("localhost.pem"))
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_context.load_cert_chain(certificate)
client_context = ssl.create_default_context(cafile=certificate)

to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
client = client_context.wrap_bio(to_client, to_server, server_hostname="localhost")
server = server_context.wrap_bio(to_server, to_client, server_side=True)


def step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


done = [False, False]
while not all(done):
    done = [done[0] or step(client), done[1] or step(server)]
print(client.version(), client.cipher()[0], client.getpeercert()["subject"])
client.write(b"secret " * 1000)
data = b""
while len(data) < 7000:
    data += server.read(4096)
print(len(data), data[:7])
server.write(b"answer")
print(client.read(100))
other = client_context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="elsewhere")
print(len(ssl.RAND_bytes(32)), ssl.OPENSSL_VERSION_INFO[0])
