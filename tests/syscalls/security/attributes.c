/* Attributes of security modules: none has any here. */
#include "observe.h"

#ifndef SYS_lsm_get_self_attr
#define SYS_lsm_get_self_attr 459
#define SYS_lsm_set_self_attr 460
#endif

struct context {
    uint64_t id, flags, len, context_len;
};

int main(void)
{
    struct context context = {0, 0, 32, 0};
    uint32_t size = sizeof context;
    for (unsigned flags = 0; flags < 3; flags++)
        for (uint64_t id = 0; id < 201; id += 100) {
            context.id = id;
            value("get", syscall(SYS_lsm_get_self_attr, 100, &context, &size, flags));
            value("set", syscall(SYS_lsm_set_self_attr, 100, &context, sizeof context, flags));
        }
    value("get of nothing", syscall(SYS_lsm_get_self_attr, 0, &context, &size, 0));
    value("get, no size", syscall(SYS_lsm_get_self_attr, 100, &context, NULL, 0));
    value("get, bad size", syscall(SYS_lsm_get_self_attr, 100, &context, 8, 0));
    value("get, no context", syscall(SYS_lsm_get_self_attr, 100, NULL, &size, 0));
    value("get, one, no context", syscall(SYS_lsm_get_self_attr, 100, NULL, &size, 1));
    value("get, one, bad context", syscall(SYS_lsm_get_self_attr, 100, 8, &size, 1));
    value("set of nothing", syscall(SYS_lsm_set_self_attr, 0, &context, sizeof context, 0));
    value("set, short", syscall(SYS_lsm_set_self_attr, 100, &context, 31, 0));
    value("set, long", syscall(SYS_lsm_set_self_attr, 100, &context, 4097, 0));
    value("set, bad context", syscall(SYS_lsm_set_self_attr, 100, 8, sizeof context, 0));
    context.len = 31;
    value("set, its length too short", syscall(SYS_lsm_set_self_attr, 100, &context, 32, 0));
    context.len = 33;
    value("set, its length too long", syscall(SYS_lsm_set_self_attr, 100, &context, 32, 0));
    context.len = 32;
    context.context_len = 1;
    value("set, its context too long", syscall(SYS_lsm_set_self_attr, 100, &context, 32, 0));
    return 0;
}
