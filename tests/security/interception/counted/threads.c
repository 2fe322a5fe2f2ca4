/* As many threads as the first word says, one after the other. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void *nothing(void *count)
{
    ++*(long *)count;
    return NULL;
}

int main(int argc, char **argv)
{
    long count = 0;
    for (long n = argc > 1 ? atol(argv[1]) : 1; n > 0; n--) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, nothing, &count) || pthread_join(thread, NULL))
            return 1;
    }
    printf("%ld threads\n", count);
    return 0;
}
