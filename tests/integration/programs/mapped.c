/* Changes a file through a shared mapping, and lets go of the mapping in the way that it is told. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEN (3 * 4096)

static void *ends_all(void *unused)
{
    _exit(0);
    return unused;
}

int main(int count, char **words)
{
    const char *way = words[1];
    if (count > 2)
        return 0; /* by exec */
    int fd = open("/volume/file", O_RDWR);
    char *map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return 1;
    memcpy(map + 4090, "changed by mapping", 18);
    if (!strcmp(way, "munmap"))
        munmap(map, LEN);
    else if (!strcmp(way, "fixed"))
        mmap(map, LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    else if (!strcmp(way, "mremap"))
        mremap(map, LEN, 4096, 0), munmap(map, 4096);
    else if (!strcmp(way, "sync"))
        sync();
    else if (!strcmp(way, "syncfs"))
        syncfs(open("/volume", O_RDONLY | O_DIRECTORY));
    else if (!strcmp(way, "msync"))
        msync(map, LEN, MS_SYNC);
    else if (!strcmp(way, "exec"))
        execl("/proc/self/exe", "mapped", way, "again", NULL);
    else if (!strcmp(way, "signal"))
        raise(SIGTERM);
    else if (!strcmp(way, "thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, ends_all, NULL);
        pthread_join(thread, NULL);
    } else if (!strcmp(way, "exit"))
        return 0;
    /* The host sees it from now on, while the program goes on. */
    puts("done");
    fflush(stdout);
    getchar();
    return 0;
}
