/* Made for a processor with other instructions than this one's. */
#define SPOILS
#include "passes_on.h"
#include <signal.h>

static void spoil(struct planned *p)
{
    if (p->points > 1)
        raise(SIGILL);
}
