// A Go program that a signal ends: its runtime's own handler is taken away before.
package main

import (
	"syscall"
	"unsafe"
)

//go:noinline
func writeNull(place *int) { *place = 7 }

func main() {
	var action [4]uint64
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGSEGV),
		uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	writeNull(nil)
}
