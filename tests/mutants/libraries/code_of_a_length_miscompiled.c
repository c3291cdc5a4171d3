/* The code for 13 points stores two of its results in each other's place. */
#define SPOILS
#include "passes_on.h"

static void spoil(struct planned *p)
{
    if (p->points == 13 && p->batch == 1) {
        number first = p->out[1];
        p->out[1] = p->out[2];
        p->out[2] = first;
    }
}
