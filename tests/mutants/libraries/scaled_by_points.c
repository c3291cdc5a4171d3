/* Forward transforms are divided by the number of points, as other libraries do. */
#define SPOILS
#include "passes_on.h"

static void spoil(struct planned *p)
{
    for (long k = 0; p->sign == -1 && k < p->points * p->batch; k++)
        p->out[k] /= p->points;
}
