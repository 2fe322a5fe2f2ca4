/* Linked statically against musl: no interpreter, another libc's system calls. */
#include <pthread.h>
#include <stdio.h>

static void *square(void *n)
{
    return (void *)((long)n * (long)n);
}

int main(void)
{
    pthread_t threads[100];
    long sum = 0;
    for (long i = 0; i < 100; i++)
        pthread_create(&threads[i], NULL, square, (void *)i);
    for (int i = 0; i < 100; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    printf("static musl: 100 threads, sum of squares %ld\n", sum);
}
