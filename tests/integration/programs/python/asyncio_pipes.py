"""asyncio: tasks, timers, queues, pipes, threads, signals, cancellation."""

import asyncio
import os
import signal


async def child(n: int) -> int:
    await asyncio.sleep(0.001 * (n % 5))
    return n


async def through_pipe() -> bytes:
    loop = asyncio.get_running_loop()
    r, w = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, "rb")
    )
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(w, "wb"))
    for i in range(200):
        out.write(b"%d\n" % i)
        if i % 50 == 0:
            await asyncio.sleep(0)
    out.close()
    data = await reader.read()
    transport.close()
    return data


async def main() -> None:
    print(sum(await asyncio.gather(*(child(n) for n in range(500)))))
    data = await through_pipe()
    print(len(data), data[-8:])
    q: asyncio.Queue[int] = asyncio.Queue(3)

    async def produce() -> None:
        for i in range(100):
            await q.put(i)

    task = asyncio.create_task(produce())
    print(sum([await q.get() for _ in range(100)]))
    await task
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.02)
    except asyncio.TimeoutError:
        print("time limit")
    print(await asyncio.to_thread(lambda: sum(range(10))))
    loop = asyncio.get_running_loop()
    got = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(got.wait(), 5)
    print("signal")
    sleeper = asyncio.create_task(asyncio.sleep(100))
    await asyncio.sleep(0)
    sleeper.cancel()
    try:
        await sleeper
    except asyncio.CancelledError:
        print("cancelled")


asyncio.run(main())
