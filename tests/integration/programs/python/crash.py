"""faulthandler reports a fault, then the signal ends the process."""

import ctypes
import faulthandler
import resource

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
faulthandler.enable()
print("before", flush=True)
ctypes.string_at(8)
