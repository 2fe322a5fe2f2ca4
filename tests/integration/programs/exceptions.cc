// C++ exceptions: across frames, in threads, through futures, with destructors, from a signal handler's frame.
#include <cstdio>
#include <csignal>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int destroyed;
struct guard {
    ~guard() { destroyed++; }
};

__attribute__((noinline)) static int fall(int depth)
{
    guard g;
    if (depth == 0)
        throw std::runtime_error("the bottom");
    return fall(depth - 1) + 1;
}

static void nested()
{
    try {
        fall(3);
    } catch (...) {
        std::throw_with_nested(std::logic_error("outer"));
    }
}

static void on_fault(int) { throw std::out_of_range("by a signal"); }

int main()
{
    try {
        fall(100);
    } catch (const std::exception &e) {
        std::printf("%s, destroyed %d\n", e.what(), destroyed);
    }
    try {
        nested();
    } catch (const std::exception &e) {
        std::printf("%s", e.what());
        try {
            std::rethrow_if_nested(e);
        } catch (const std::exception &inner) {
            std::printf(" around %s\n", inner.what());
        }
    }
    std::vector<std::thread> threads;
    std::mutex mutex;
    int caught = 0;
    for (int t = 0; t < 16; t++)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 200; i++)
                try {
                    fall(t);
                } catch (const std::runtime_error &) {
                    std::lock_guard<std::mutex> lock(mutex);
                    caught++;
                }
        });
    for (auto &thread : threads)
        thread.join();
    std::printf("caught %d\n", caught);
    std::exception_ptr carried;
    std::thread([&] {
        try {
            fall(1);
        } catch (...) {
            carried = std::current_exception();
        }
    }).join();
    try {
        std::rethrow_exception(carried);
    } catch (const std::exception &e) {
        std::printf("carried %s\n", e.what());
    }
    auto future = std::async(std::launch::async, [] { return fall(2); });
    try {
        future.get();
    } catch (const std::exception &e) {
        std::printf("future %s\n", e.what());
    }
    struct sigaction action {};
    action.sa_handler = on_fault;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &action, nullptr);
    try {
        *static_cast<volatile int *>(nullptr) = 1;
    } catch (const std::out_of_range &e) {
        std::printf("%s\n", e.what());
    }
    std::unique_ptr<std::string> text(new std::string(1000, 'x'));
    std::printf("%zu\n", text->size());
    std::fflush(stdout);
    std::set_terminate([] {
        std::puts("terminate");
        std::fflush(stdout);
        std::_Exit(6);
    });
    fall(0);
}
