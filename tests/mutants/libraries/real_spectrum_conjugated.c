/* Transforms of real numbers give the other half of the spectrum than the one that is asked for. */
#include "passes_on.h"

static plan real;
static number *half;
static long count;

plan fftw_plan_dft_r2c(int rank, const int *n, double *in, number *out, unsigned flags)
{
    half = out;
    count = product(rank - 1, n) * (n[rank - 1] / 2 + 1);
    return real = TRUE(fftw_plan_dft_r2c)(rank, n, in, out, flags);
}

void fftw_execute(plan wanted)
{
    TRUE(fftw_execute)(wanted);
    for (long k = 0; wanted == real && k < count; k++)
        half[k] = conj(half[k]);
}
