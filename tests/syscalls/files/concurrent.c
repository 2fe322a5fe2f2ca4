/* Threads on one descriptor, one directory, one name: no byte lost, no name twice. */
#include "observe.h"
#include <pthread.h>
#include <stdatomic.h>

static int fd;
static atomic_int made, existed, other_errors;

static void *append(void *letter)
{
    char record[64];
    memset(record, (int)(long)letter, sizeof record);
    for (int i = 0; i < 300; i++)
        write(fd, record, sizeof record);
    return NULL;
}

static void *create(void *unused)
{
    (void)unused;
    char name[32];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "d/%d", i);
        int f = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (f >= 0) {
            made++;
            close(f);
        } else if (errno == EEXIST)
            existed++;
        else
            other_errors++;
    }
    return NULL;
}

static void *swing(void *n)
{
    for (int i = 0; i < 300; i++) {
        rename((long)n ? "x" : "y", (long)n ? "y" : "x");
        char c;
        int f = open((long)n ? "y" : "x", O_RDONLY);
        if (f >= 0) {
            if (read(f, &c, 1) != 1 || c != 'v')
                other_errors++;
            close(f);
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t t[4];
    fd = open("log", O_RDWR | O_CREAT | O_APPEND, 0600);
    for (long i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, append, (void *)('a' + i));
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    struct stat st;
    fstat(fd, &st);
    say("size %ld", (long)st.st_size);
    int counts[4] = {0}, mixed = 0;
    char record[64];
    for (long at = 0; pread(fd, record, 64, at) == 64; at += 64) {
        for (int i = 1; i < 64; i++)
            mixed += record[i] != record[0];
        counts[record[0] - 'a']++;
    }
    say("%d %d %d %d, mixed %d", counts[0], counts[1], counts[2], counts[3], mixed);
    mkdir("d", 0700);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, create, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    say("made %d, existed %d, other %d", made, existed, other_errors);
    put_text("x", "v");
    for (long i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, swing, (void *)i);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    say("one name is left: %d, errors %d", (access("x", F_OK) == 0) + (access("y", F_OK) == 0), other_errors);
    return 0;
}
