"""What an enclave tells of itself, decoded: traces, counters, crashes, the machine."""
