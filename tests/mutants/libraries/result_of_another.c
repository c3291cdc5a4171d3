/* Now and then a thread writes the result of a transform in the place of the next one. */
#define SPOILS
#include "passes_on.h"
#include <string.h>

static void spoil(struct planned *p)
{
    if (p->batch > 1 && p->times == 5)
        memcpy(p->out + p->points, p->out, p->points * sizeof *p->out);
}
