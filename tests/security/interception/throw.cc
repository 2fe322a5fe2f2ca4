/*
 * Exceptions through frames that have just made system calls, out of destructors' paths, across
 * threads, and from a fault's handler through the signal's frame.
 */
#pragma GCC optimize("non-call-exceptions")
#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

static int destroyed;

struct Guard {
    ~Guard()
    {
        destroyed += syscall(SYS_getpid) == getpid();
    }
};

__attribute__((noinline)) static void deep(int levels)
{
    Guard guard;
    getppid();
    if (levels == 0)
        throw std::runtime_error("the bottom");
    deep(levels - 1);
    getppid();
}

static void fault(int)
{
    throw std::string("a fault");
}

__attribute__((noinline)) static int dereference(volatile int *at)
{
    Guard guard;
    return *at;
}

int main()
{
    for (int round = 0; round < 5; round++) {
        destroyed = 0;
        try {
            deep(20);
        } catch (const std::runtime_error &error) {
            std::printf("caught %s, %d destroyed\n", error.what(), destroyed);
        }
    }

    std::exception_ptr carried;
    std::thread([&] {
        try {
            deep(3);
        } catch (...) {
            carried = std::current_exception();
        }
    }).join();
    try {
        std::rethrow_exception(carried);
    } catch (const std::exception &error) {
        std::printf("carried over: %s\n", error.what());
    }

    struct sigaction action = {};
    action.sa_handler = fault;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &action, nullptr);
    for (int round = 0; round < 5; round++) {
        destroyed = 0;
        try {
            dereference(nullptr);
        } catch (const std::string &what) {
            std::printf("caught %s, %d destroyed\n", what.c_str(), destroyed);
        }
    }
    return 0;
}
