"""Threads, queues, locks, executors, thread-local values, timers."""

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

jobs: "queue.Queue[int | None]" = queue.Queue(maxsize=8)
done: "queue.Queue[int]" = queue.Queue()


def work() -> None:
    while (n := jobs.get()) is not None:
        done.put(n * n)


workers = [threading.Thread(target=work) for _ in range(8)]
for worker in workers:
    worker.start()
for n in range(1000):
    jobs.put(n)
for _ in workers:
    jobs.put(None)
for worker in workers:
    worker.join()
print(sum(done.get() for _ in range(1000)))

counter = 0
lock = threading.Lock()


def add() -> None:
    global counter
    for _ in range(10_000):
        with lock:
            counter += 1


threads = [threading.Thread(target=add) for _ in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(counter)

local = threading.local()


def mine(n: int) -> bool:
    local.n = n
    time.sleep(0.001)
    return local.n == n


with ThreadPoolExecutor(16) as pool:
    print(all(pool.map(mine, range(200))))

event = threading.Event()
threading.Timer(0.05, event.set).start()
print(event.wait(5))
condition = threading.Condition()
print(condition.acquire() and not condition.wait(0.02))
barrier = threading.Barrier(4)
order = []


def meet(n: int) -> None:
    barrier.wait()
    order.append(n)


threads = [threading.Thread(target=meet, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(order), threading.active_count())
