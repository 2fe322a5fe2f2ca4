"""Signals as Python sees them: handlers, KeyboardInterrupt, alarms, wakeup descriptors, timers."""

import faulthandler
import os
import signal
import threading
import time

got = []
signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
os.kill(os.getpid(), signal.SIGUSR1)
print(got == [signal.SIGUSR1])
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    print("KeyboardInterrupt")
signal.signal(signal.SIGALRM, lambda number, frame: got.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
start = time.monotonic()
time.sleep(1)  # goes on after each signal, as PEP 475 says
signal.setitimer(signal.ITIMER_REAL, 0)
print(time.monotonic() - start >= 1, got.count(signal.SIGALRM) >= 5)
r, w = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(w)
signal.raise_signal(signal.SIGUSR1)
print(list(os.read(r, 10)) == [signal.SIGUSR1])
threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1)).start()
time.sleep(0.2)
print(got.count(signal.SIGUSR1))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
os.kill(os.getpid(), signal.SIGUSR2)
print(signal.sigpending() == {signal.SIGUSR2}, signal.sigwait([signal.SIGUSR2]) == signal.SIGUSR2)
faulthandler.dump_traceback_later(60)
faulthandler.cancel_dump_traceback_later()
print(faulthandler.is_enabled())
