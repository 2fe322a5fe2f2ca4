// differs: restartable sequences are not offered; libraries then do without
/* rseq: refusals. */
#include "observe.h"

int main(void)
{
    char *m = fresh(PAGE);
    value("unaligned", syscall(SYS_rseq, m + 1, 32, 0, 0x53053053));
    value("unknown flag", syscall(SYS_rseq, m, 32, 64, 0x53053053));
    value("too small", syscall(SYS_rseq, m, 16, 0, 0x53053053));
    return 0;
}
