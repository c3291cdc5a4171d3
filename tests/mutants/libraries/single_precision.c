/* Made with --enable-float, under the names of double precision. */
#define SPOILS
#include "passes_on.h"

static void spoil(struct planned *p)
{
    for (long k = 0; k < p->points * p->batch; k++)
        p->out[k] = (float complex)p->out[k];
}
