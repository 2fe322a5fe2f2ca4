//! execve(2), execveat(2). (elf2 is writing this now)
