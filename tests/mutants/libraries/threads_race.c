/* Now and then two threads write neighbouring results of a large transform in the wrong order. */
#define SPOILS
#include "passes_on.h"

static void spoil(struct planned *p)
{
    if (p->points >= 1 << 20 && p->times == 5) {
        number *edge = p->out + p->points / 2, before = edge[-1];
        edge[-1] = edge[0];
        edge[0] = before;
    }
}
