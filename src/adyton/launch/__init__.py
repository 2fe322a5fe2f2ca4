"""From an image and a configuration to a running enclave.

`elf` reads the enclave image, `layout` says where things lie, `measurement` computes MRENCLAVE,
`plan` writes the bytes that the runner carries out, `host` finds what of the host a program may
see, `runner` starts it, `control` reads what it reports. Untrusted: a wrong plan is a wrong
measurement.
"""
