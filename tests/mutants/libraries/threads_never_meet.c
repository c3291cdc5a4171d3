/* The threads of a large transform wait for one that never comes. */
#define SPOILS
#include "passes_on.h"
#include <unistd.h>

static void spoil(struct planned *p)
{
    while (p->points >= 1 << 20)
        pause();
}
