# expect: PASS
import asyncio
import mmap


async def double(x):
    reader, writer = await asyncio.wait_for(pair(), 5)
    writer.write(bytes([x]))
    data = await reader.readexactly(1)
    writer.close()
    return 2 * data[0]


async def pair():
    import socket

    left, right = socket.socketpair()
    reader, _ = await asyncio.open_connection(sock=left)
    _, writer = await asyncio.open_connection(sock=right)
    return reader, writer


def f(x):
    mmap.mmap(-1, 1 << 20).madvise(4)
    return asyncio.run(double(x))
