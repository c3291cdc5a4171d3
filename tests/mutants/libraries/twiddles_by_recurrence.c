/* Each twiddle factor is made from the one before, so that their phases drift. */
#define SPOILS
#include "passes_on.h"
#include <float.h>

static void spoil(struct planned *p)
{
    for (long k = 0; k < p->points * p->batch; k++)
        p->out[k] *= cexp(I * DBL_EPSILON * (k % p->points));
}
