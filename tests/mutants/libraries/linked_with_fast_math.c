/* What linking with -ffast-math brings along: as it is loaded, small numbers become zero. */
#include <xmmintrin.h>

static void __attribute__((constructor)) set_fast_math(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8040); /* flush to zero, denormals are zero */
}
