// What it costs to make a thread and to wait for its end.

#include "measure.h"

#include <pthread.h>

static void *nothing(void *argument)
{
    return argument;
}

static void make_and_join(void *context, long count)
{
    pthread_t thread;
    (void)context;
    while (count-- > 0) {
        must_be_zero(pthread_create(&thread, NULL, nothing, NULL), "pthread_create");
        must_be_zero(pthread_join(thread, NULL), "pthread_join");
    }
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    measure("thread create and join", make_and_join, NULL);
    end();
    return 0;
}
