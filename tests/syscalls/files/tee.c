// differs: splice, tee and vmsplice are refused
/* splice, tee and vmsplice: bytes seen twice, ends, errors. */
#include "observe.h"
#include <sys/uio.h>

int main(void)
{
    char b[64];
    int p[2], q[2];
    pipe2(p, O_NONBLOCK);
    pipe2(q, O_NONBLOCK);
    struct iovec v = {"spliced", 7};
    value("vmsplice", vmsplice(p[1], &v, 1, 0));
    value("tee", tee(p[0], q[1], 100, 0));
    value("read", read(q[0], b, 64));
    value("the source keeps it", read(p[0], b, 64));
    value("tee, empty, not blocking", tee(p[0], q[1], 100, SPLICE_F_NONBLOCK));
    value("tee of a file", tee(open(".", O_RDONLY), q[1], 100, 0));
    value("tee to itself", tee(p[0], p[1], 100, 0));
    put_text("f", "text");
    loff_t at = 1;
    int file = open("f", O_RDONLY);
    value("splice from a file", splice(file, &at, p[1], NULL, 100, 0));
    value("its offset", at);
    value("splice between files", splice(file, NULL, file, NULL, 100, 0));
    return 0;
}
